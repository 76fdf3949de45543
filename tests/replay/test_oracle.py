"""Tests of headstart.replay.oracle: the bound, by hand."""

from __future__ import annotations

from headstart.learn.logs import LogLine
from headstart.replay import Score
from headstart.replay.replay import Replay
from tests.replay.test_live import ASSETS, visit


def bound(*visits: list[LogLine]) -> Score:
    lines = [one for lines in visits for one in lines]
    return Replay(rivals=False, oracle=True).run(lines)[1]


def test_the_first_view_of_a_page_is_foreseen() -> None:
    score = bound(visit(0, 1, *ASSETS), visit(100, 2, *ASSETS))

    assert (score.recall, score.precision, score.real) == (1.0, 1.0, 4)


def test_what_less_than_half_of_the_views_ask_for_is_not_sent() -> None:
    score = bound(visit(0, 1, *ASSETS), visit(100, 2, "/a.css"), visit(200, 3, "/a.css"))

    assert (score.sent, score.foreseen, score.real) == (3, 3, 4)


def test_a_robot_is_sent_nothing_nor_is_a_client_what_it_has() -> None:
    score = bound(visit(0, 1, *ASSETS), visit(100, 1, "/c.png"), visit(200, 2))

    assert (score.sent, score.used) == (4, 3)
