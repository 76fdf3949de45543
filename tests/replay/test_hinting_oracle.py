"""Tests of headstart.replay.hinting_oracle: the bound for hints, by hand."""

from __future__ import annotations

from headstart.learn.logs import LogLine
from headstart.replay import Mode, Score
from headstart.replay.hinting_oracle import HINTING_ORACLE
from headstart.replay.replay import Replay
from tests.replay.test_live import ASSETS, SIZE, visit

A_DAY = 86_400


def bound(*visits: list[LogLine]) -> Score:
    lines = [one for lines in visits for one in lines]
    score = Replay(rivals=False, oracle=True).run(lines)[-1]
    assert score.name == HINTING_ORACLE
    return score


def test_the_first_view_of_a_page_is_foreseen() -> None:
    score = bound(visit(0, 1, *ASSETS), visit(100, 2, *ASSETS))

    assert (score.recall, score.precision, score.real) == (1.0, 1.0, 4)


def test_views_that_fetch_nothing_say_nothing_of_a_page_and_robots_are_sent_nothing() -> None:
    fetch = [visit(100.0 * number, number, "/other.css", path="/other") for number in range(1, 5)]
    look = [visit(1000 + 100.0 * number, number) for number in range(1, 5)]
    robot = visit(2000, 5)

    score = bound(*fetch, *look, robot, visit(3000, 6, *ASSETS))

    assert score.recall == 1.0
    assert score.sent == 4 + 2 * 4 + 2


def test_what_less_than_half_of_the_rendering_views_ask_for_is_not_sent() -> None:
    score = bound(visit(0, 1, *ASSETS), visit(100, 2, "/a.css"), visit(200, 3, "/a.css"))

    assert (score.sent, score.foreseen, score.real) == (3, 3, 4)


def test_what_a_client_has_is_sent_again_only_if_clients_ask_for_it_again() -> None:
    def later(*assets: str) -> list[list[LogLine]]:
        return [visit(2 * A_DAY + 100.0 * number, number, *assets) for number in range(1, 11)]

    first = [visit(100.0 * number, number, *ASSETS) for number in range(1, 11)]
    lost, kept = bound(*first, *later(*ASSETS)), bound(*first, *later("/new.png"))

    assert (lost.sent, lost.foreseen, lost.real) == (40, 40, 40)
    # That one is asked for in half of the views.
    assert (kept.sent, kept.foreseen, kept.real) == (40, 30, 30)


def test_nothing_is_sent_twice_on_one_connection() -> None:
    twice = bound(visit(0, 1, *ASSETS), visit(30, 1, "/c.png", path="/next"), visit(50, 1, *ASSETS))
    again = bound(visit(0, 1, *ASSETS), visit(30, 1, "/c.png", path="/next"), visit(91, 1, *ASSETS))

    assert (twice.sent, again.sent) == (3, 5)


def test_what_a_hint_brought_is_spared_and_moves_once() -> None:
    score = bound(
        visit(0, 1, *ASSETS),
        visit(100, 2, *ASSETS),
        visit(200, 3, "/a.css"),
        visit(300, 3, "/b.js", path="/next"),
        visit(400, 4, "/b.js", path="/next"),
    )

    assert (score.sent_bytes, score.wasted_bytes) == (7 * SIZE, SIZE)
    assert score.real == 6


def test_a_page_with_a_query_is_another_one() -> None:
    plain = [visit(100.0 * number, number, "/a.css") for number in range(1, 5)]
    query = [visit(100.0 * number, number, "/b.js", path="/?q=1") for number in range(5, 9)]

    score = bound(*plain, *query)

    assert (score.recall, score.precision) == (1.0, 1.0)


def test_there_is_no_such_bound_for_pushes() -> None:
    lines = visit(0, 1, *ASSETS)

    names = [score.name for score in Replay(oracle=True, mode=Mode.PUSH).run(lines)]

    assert HINTING_ORACLE not in names
    assert names[-1] == "oracle"
