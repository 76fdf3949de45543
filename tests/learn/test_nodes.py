"""Tests of headstart.learn.nodes."""

from __future__ import annotations

from headstart.learn import Standing
from headstart.learn.nodes import Node, Shelf


def _node(path: str, voters: int = 1) -> Node:
    node = Node("https://example.org", path, Standing.PAGE)
    for voter in range(voters):
        node.voters.admit(voter, 0.0)
    return node


def _fill(shelf: Shelf, *nodes: Node) -> None:
    for node in nodes:
        shelf.touch(node)
        while shelf.full:
            shelf.remove(shelf.oldest())


def test_the_least_recently_used_goes_first() -> None:
    shelf = Shelf(Standing.PAGE, 3)
    first, second, third = (_node(f"/{name}") for name in "abc")
    _fill(shelf, first, second, third, first)

    _fill(shelf, _node("/d"))

    assert [node.path for node in shelf] == ["/c", "/a", "/d"]


def test_what_one_voter_made_does_not_push_out_what_several_confirmed() -> None:
    shelf = Shelf(Standing.PAGE, 100)
    _fill(shelf, *(_node(f"/honest/{number}", voters=2) for number in range(80)))

    _fill(shelf, *(_node(f"/forged/{number}") for number in range(10_000)))

    assert len(shelf) == 100
    assert sum(node.path.startswith("/honest/") for node in shelf) == 80


def test_more_confirmed_pages_than_places_still_leave_room_for_new_ones() -> None:
    shelf = Shelf(Standing.PAGE, 10)
    _fill(shelf, *(_node(f"/{number}", voters=2) for number in range(20)))

    _fill(shelf, _node("/new"))

    assert shelf.peek("https://example.org", "/new") is not None
    assert shelf.peek("https://example.org", "/19") is not None
