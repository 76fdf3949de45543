"""Tests of headstart.learn.gains."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import count

import pytest

from headstart.learn.gains import Durations, Measure, Metric

_RUNS = 200
_VIEWS = 1000
_SHARE = 32


def _measured(views: int, saved: float, chance: random.Random) -> Durations:
    """Views of new visitors, of whom one in 32 gets nothing; a load takes 0.2 s and more."""
    found = Durations()
    for view in range(views):
        control = view % _SHARE == 7
        seconds = 0.2 + 0.4 * chance.lognormvariate(0.0, 0.5) - (0.0 if control else saved)
        found.add({Metric.LOADED: seconds}, view, float(view), control=control)
    return found


@pytest.mark.cost
@pytest.mark.parametrize("saved", [0.0, 0.05, 0.2])
def test_the_interval_of_95_percent_holds_the_truth_in_95_of_100_runs(saved: float) -> None:
    chance = random.Random(f"gain {saved}")
    held = 0
    for _ in range(_RUNS):
        saving = _measured(_VIEWS, saved, chance).saving(Metric.LOADED)
        assert saving is not None
        held += saving.low <= saved <= saving.high

    assert held >= 0.95 * _RUNS


def test_the_gain_lies_between_the_two_medians() -> None:
    found = Durations()
    for voter in range(25):
        found.add({Metric.BLOCKING: 0.2, Metric.LOADED: 0.3}, voter, 1.0, control=False)
        found.add({Metric.BLOCKING: 0.5, Metric.LOADED: 0.9}, voter, 1.0, control=True)

    gain = found.gain("https://example.org/")

    assert gain.page == "https://example.org/"
    assert (gain.views, gain.control_views) == (25, 25)
    assert gain.blocking is not None
    assert gain.loaded is not None
    assert gain.blocking.seconds == pytest.approx(0.3, rel=0.1)
    assert gain.loaded.seconds == pytest.approx(0.6, rel=0.1)
    assert gain.loaded.low <= gain.loaded.seconds <= gain.loaded.high
    assert gain.loaded.surely_positive
    assert not gain.loaded.surely_negative


def test_there_is_no_gain_before_there_are_enough_views_of_both_sorts() -> None:
    found = Durations()
    assert found.gain("").loaded is None
    for voter in range(200):
        found.add({Metric.LOADED: 0.3}, voter, 1.0, control=False)
    for voter in range(19):
        found.add({Metric.LOADED: 0.3}, voter, 1.0, control=True)
    gain = found.gain("")

    assert (gain.views, gain.control_views) == (200, 19)
    assert gain.loaded is None

    found.add({Metric.LOADED: 0.3}, 99, 1.0, control=True)
    assert found.gain("").loaded is not None


def _liar(honest: Iterator[int]) -> Iterator[int]:
    """One client that asks four times after each honest one."""
    for voter in honest:
        yield voter
        yield from (-1,) * 4


def test_one_client_that_lies_moves_the_gain_within_the_honest_views_only() -> None:
    chance = random.Random(11)
    honest, forged = Durations(), Durations()
    for voter in _liar(iter(range(3000))):
        for control in (False, True):
            seconds = 0.3 + 0.2 * chance.random() + 0.1 * control
            lie = 60.0 if control else 0.001
            if voter >= 0:
                honest.add({Metric.LOADED: seconds}, voter, 1.0, control=control)
            forged.add({Metric.LOADED: lie if voter < 0 else seconds}, voter, 1.0, control=control)

    truth, found = honest.saving(Metric.LOADED), forged.saving(Metric.LOADED)

    assert truth is not None
    assert found is not None
    # The honest views spread over 0.2 s, and each median stays between three and five eighths.
    assert found.seconds == pytest.approx(truth.seconds, abs=2 * 0.2 / 8 + 0.02)


def test_views_fade_together_so_that_a_change_shows() -> None:
    found, voters = Durations(), count()
    for saved in (0.1, -0.2):
        for _ in range(3000):
            found.add({Metric.LOADED: 0.5 - saved}, next(voters), 1.0, control=False)
            found.add({Metric.LOADED: 0.5}, next(voters), 1.0, control=True)
    saving = found.saving(Metric.LOADED)

    assert saving is not None
    assert saving.seconds == pytest.approx(-0.2, abs=0.03)
    assert saving.views == saving.control_views <= 512


def test_records_hold_all_that_was_counted_and_add_up() -> None:
    one, other = _measured(700, 0.1, random.Random(1)), _measured(900, 0.1, random.Random(2))
    both = Durations()
    for record in (*one.records(), *other.records()):
        both.merge(record)

    gain = both.gain("")

    assert gain.views == one.gain("").views + other.gain("").views
    assert gain.control_views == one.gain("").control_views + other.gain("").control_views
    assert gain.loaded is not None


def test_counts_without_end_of_one_sort_are_bounded() -> None:
    found = Durations()
    found.merge(Measure(Metric.LCP, False, 50, (1e12, 1e12)))

    assert found.gain("").views == 0
    assert sum(found_.counts[0] for found_ in found.records() if found_.counts) <= 1 << 20


def test_views_of_the_server_and_of_browsers_have_turns_of_their_own() -> None:
    found = Durations()

    assert found.add({Metric.LOADED: 1.0}, 1, 1.0, control=False)
    assert found.add({Metric.LOADED: 1.0}, 2, 1.0, control=False)
    assert not found.add({Metric.LOADED: 1.0}, 2, 1.0, control=False)
    assert found.add({Metric.LCP: 1.0}, 2, 1.0, control=False, reported=True)
    assert found.add({Metric.LOADED: 1.0}, 2, 1.0, control=True)
    assert found.bytes > Durations().bytes


def test_the_interval_holds_the_truth_where_half_of_the_views_have_all_in_their_caches() -> None:
    chance = random.Random(13)
    held = 0
    for _ in range(100):
        found = Durations()
        for view in range(500):
            seconds = 0.2 + 0.1 * chance.random() + (1.0 if chance.random() < 0.5 else 0.0)
            found.add({Metric.LOADED: seconds}, view, 1.0, control=view % 10 == 0)
        saving = found.saving(Metric.LOADED)
        assert saving is not None
        held += saving.low <= 0.0 <= saving.high

    assert held >= 93


@pytest.mark.cost
def test_a_page_that_gains_nothing_is_seldom_stopped_however_often_it_is_looked_at() -> None:
    chance = random.Random(17)
    stopped = 0
    for _ in range(_RUNS):
        found = Durations()
        for view in range(_VIEWS):
            control = view % _SHARE == 7
            seconds = 0.2 + 0.4 * chance.lognormvariate(0.0, 0.5)
            found.add({Metric.LOADED: seconds}, view, float(view), control=control)
            if control and found.loss() is not None:
                stopped += 1
                break

    assert stopped <= 0.02 * _RUNS
