"""Tests of headstart.learn.explaining."""

from __future__ import annotations

import pytest

from headstart.learn import Gain, Metric, Saving, Stop, explain_gain, explain_stop
from headstart.learn.explaining import UNTIL, signed

PAGE = "https://example.org/"
STOP = Stop(1.0, "https://example.org", "/", True, 0.12, 0.08, 1.6)


def _saving(seconds: float) -> Saving:
    low, high = seconds - 0.04, seconds + 0.04
    return Saving(900.0, 30.0, 0.5 - seconds, 0.5, low, high, high < 0, low > 0)


@pytest.mark.parametrize(
    ("stopped", "said"),
    [
        (True, "Nothing is sent ahead any more, since views that got something took longer by"),
        (False, "Assets are sent ahead again, since views that got them were there sooner by"),
    ],
)
def test_a_stop_is_explained_with_its_figures(stopped: bool, said: str) -> None:
    stop = Stop(1.0, "https://example.org", "/", stopped, 0.12, 0.08, 1.6)

    assert explain_stop(stop).startswith(f"{said} 120 ms (95 %: 80 ms to 1.60 s).")


def test_a_gain_is_told_for_each_metric_with_its_interval() -> None:
    gain = Gain(PAGE, 900, 30, {Metric.BLOCKING: _saving(0.12), Metric.LCP: _saving(-0.1)}, STOP)

    assert list(explain_gain(gain)) == [
        explain_stop(STOP),
        "Sending ahead saves 120 ms (95 %: 80 ms to 160 ms) until the last stylesheet, script or "
        "font",
        "Sending ahead costs 100 ms (95 %: -140 ms to -60 ms) until Largest Contentful Paint, as "
        "browsers report it",
    ]


def test_a_gain_of_too_few_views_says_how_many_it_takes() -> None:
    [said] = explain_gain(Gain(PAGE, 1234, 3, {}))

    assert "takes 20 views of each sort" in said
    assert "1,234 with assets sent ahead and 3 without" in said


def test_each_metric_has_words() -> None:
    assert UNTIL.keys() == set(Metric)
    assert signed(-1.2) == "-1.20 s"
