"""Estimates of how much sooner pages load."""

from __future__ import annotations

import random

import pytest

from sites.estimates import median_ratio_of, ratio_of


def loads(ratio: float, pairs: int, chance: random.Random) -> list[tuple[float, float]]:
    """Loads on a machine that is slow now and then, for a while."""
    made = []
    for _ in range(pairs):
        busy = 1000 * chance.choice((1.0, 1.1, 1.6))
        made.append((busy * ratio * chance.uniform(0.9, 1.2), busy * chance.uniform(0.9, 1.2)))
    return made


def test_the_ratio_of_equal_pairs_is_certain() -> None:
    estimate = ratio_of([(80.0, 100.0)] * 6)

    assert str(estimate) == "0.80 (0.80 to 0.80)"


def test_the_estimate_and_its_interval_are_those_of_the_signed_rank_test() -> None:
    differences = [-1.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]
    estimate = ratio_of([(2.0**value, 1.0) for value in differences])

    # For nine pairs the tables of the test give 5 as the largest sum whose chance is at most 2.5 %,
    # so the interval goes from the sixth of the 45 means to the sixth last.
    assert estimate.ratio == pytest.approx(2.0**4)
    assert estimate.low == pytest.approx(2.0**1.5)
    assert estimate.high == pytest.approx(2.0**6.5)


def test_the_interval_holds_the_true_ratio_as_often_as_it_says() -> None:
    chance = random.Random(1)
    held = sum(
        estimate.low <= 0.85 <= estimate.high
        for estimate in (ratio_of(loads(0.85, 11, chance)) for _ in range(400))
    )

    assert held / 400 >= 0.93


def test_one_load_that_takes_ten_times_as_long_moves_the_estimate_little() -> None:
    pairs = loads(0.8, 11, random.Random(2))

    before, after = ratio_of(pairs), ratio_of([(pairs[0][0] * 10, pairs[0][1]), *pairs[1:]])

    assert abs(after.ratio - before.ratio) < 0.06


def test_fewer_than_six_pairs_are_refused() -> None:
    with pytest.raises(ValueError, match="5 pairs are too few"):
        ratio_of([(1.0, 1.0)] * 5)


def test_the_median_of_sites_has_an_interval_that_a_second_run_repeats() -> None:
    chance = random.Random(3)
    sites = [loads(ratio, 11, chance) for ratio in (0.7, 0.8, 0.85, 0.9, 1.0)]

    estimate = median_ratio_of(sites)

    assert estimate.low < 0.85 < estimate.high
    assert estimate.high - estimate.low < 0.2
    assert median_ratio_of(sites) == estimate
