"""Tests of headstart.learn.histograms."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.learn.histograms import BUCKETS, Histogram


def _histogram(values: list[float]) -> Histogram:
    found = Histogram()
    for value in values:
        found.add(value)
    return found


@given(st.lists(st.floats(0.0, 1e6), max_size=50), st.lists(st.floats(0.0, 1e6), max_size=50))
def test_merging_is_the_same_as_adding_all(one: list[float], other: list[float]) -> None:
    merged = _histogram(one)
    added = _histogram(other)
    merged.merge(added.first, added.counts)

    both = _histogram([*one, *other])

    assert merged.total == both.total == len(one) + len(other)
    assert list(merged.counts) == list(both.counts)
    assert merged.first == both.first or not both.counts


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_quantile_is_known_to_a_few_per_cent_at_any_scale(share: float) -> None:
    chance = random.Random(3)
    for scale in (0.004, 0.3, 20.0):
        values = sorted(scale * chance.lognormvariate(0.0, 0.5) for _ in range(2000))

        found = _histogram(values).quantile(share)

        assert found == pytest.approx(values[int(share * 2000)], rel=0.02)


def test_a_histogram_without_durations_has_no_median() -> None:
    empty = Histogram()

    assert (empty.median, empty.total) == (0.0, 0.0)


def test_what_is_below_or_beyond_the_buckets_counts_in_the_nearest() -> None:
    found = _histogram([-1.0, 0.0, 0.0005, 1e9])

    assert found.first == 0
    assert found.counts[0] == 3.0
    assert len(found.counts) == BUCKETS
    assert found.counts[-1] == 1.0


def test_a_record_with_buckets_that_do_not_exist_adds_those_that_do() -> None:
    found = Histogram()
    found.merge(-2, [1.0, 1.0, 1.0])
    found.merge(BUCKETS - 1, [1.0, 1.0])
    found.merge(BUCKETS + 5, [1.0])

    assert found.total == 2.0
    assert len(found.counts) == BUCKETS


def test_durations_that_faded_count_half_and_the_median_stays() -> None:
    found = _histogram([0.1, 0.2, 0.3, 0.4, 0.5] * 20)
    before = found.median

    found.fade()

    assert found.total == 50.0
    assert found.median == pytest.approx(before, rel=0.001)


def test_only_the_range_that_has_counts_takes_memory() -> None:
    narrow, wide = _histogram([0.2, 0.21]), _histogram([0.01, 10.0])

    assert narrow.bytes < 220
    assert narrow.bytes < wide.bytes < 1000


@pytest.mark.cost
def test_the_interval_of_two_errors_holds_the_median_in_95_of_100_cases() -> None:
    chance = random.Random(5)
    held = 0
    for _ in range(400):
        found = _histogram([chance.gauss(1.0, 0.2) for _ in range(150)])
        low, high = found.median_interval(2.0)
        held += low <= 1.0 <= high

    assert held >= 0.94 * 400


def test_the_interval_of_few_durations_is_as_wide_as_they_are() -> None:
    found = _histogram([0.2, 0.3, 0.5])

    low, high = found.median_interval(3.5)

    assert low < 0.2
    assert high > 0.3
