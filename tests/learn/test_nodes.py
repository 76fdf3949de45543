"""Tests of headstart.learn.nodes."""

from __future__ import annotations

from headstart.learn import Level
from headstart.learn.nodes import Node, NodeCache


def _node(path: str, voters: int = 1) -> Node:
    node = Node("https://example.org", path, Level.PAGE)
    for voter in range(voters):
        node.voters.admit(voter, 0.0)
    return node


def _fill(cache: NodeCache, *nodes: Node) -> None:
    for node in nodes:
        cache.touch(node)
        while cache.full:
            cache.remove(cache.oldest())


def test_the_least_recently_used_goes_first() -> None:
    cache = NodeCache(Level.PAGE, 3)
    first, second, third = (_node(f"/{name}") for name in "abc")
    _fill(cache, first, second, third, first)

    _fill(cache, _node("/d"))

    assert [node.path for node in cache] == ["/c", "/a", "/d"]


def test_what_one_voter_made_does_not_push_out_what_several_confirmed() -> None:
    cache = NodeCache(Level.PAGE, 100)
    _fill(cache, *(_node(f"/honest/{number}", voters=2) for number in range(80)))

    _fill(cache, *(_node(f"/forged/{number}") for number in range(10_000)))

    assert len(cache) == 100
    assert sum(node.path.startswith("/honest/") for node in cache) == 80


def test_more_confirmed_pages_than_places_still_leave_room_for_new_ones() -> None:
    cache = NodeCache(Level.PAGE, 10)
    _fill(cache, *(_node(f"/{number}", voters=2) for number in range(20)))

    _fill(cache, _node("/new"))

    assert cache.peek("https://example.org", "/new") is not None
    assert cache.peek("https://example.org", "/19") is not None
