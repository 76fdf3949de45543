"""Ratios within rounds, and medians."""

from __future__ import annotations

import pytest

from bench.sample import (
    Figure,
    Ratio,
    Sample,
    by_late,
    by_memory,
    by_p50,
    by_p99,
    by_processor,
    by_rate,
    errors,
    middle,
    rate,
    ratio,
)


def samples(*rates: float) -> list[Sample]:
    return [Sample(rate, int(rate), 1, 0) for rate in rates]


def test_ratio_is_taken_within_rounds_and_not_between_medians() -> None:
    assert ratio(samples(100, 200, 300), samples(50, 200, 600)) == Ratio(1.0, 0.5, 2.0)


def test_ratio_uses_the_rounds_that_both_finished() -> None:
    assert ratio(samples(100, 200), samples(50)) == Ratio(2.0, 2.0, 2.0)
    assert ratio(samples(100), []) is None
    assert ratio(samples(100), samples(0)) is None


def test_ratio_is_shown_with_its_spread() -> None:
    assert str(Ratio(1.0, 0.5, 2.125)) == "1.00 (0.50..2.12)"


def test_medians_are_nothing_where_nothing_was_measured() -> None:
    assert rate(samples(1, 5, 2)) == 2
    assert (rate([]), errors([]), middle([], by_p99)) == (0, 0, 0)
    assert errors(samples(1, 2)) == 2


@pytest.mark.parametrize(
    ("figure", "expected"),
    [
        (by_rate, 1.0),
        (by_p50, 6.0),
        (by_p99, 7.0),
        (by_late, 8.0),
        (by_memory, 9.0),
        (by_processor, 2.5),
    ],
)
def test_each_figure_is_its_own_field(figure: Figure, expected: float) -> None:
    assert figure(Sample(1.0, 2, 3, 4, 5.0, 6.0, 7.0, 8.0, 9.0)) == expected


def test_processor_time_of_nothing_is_unknown() -> None:
    assert by_processor(Sample(0.0, 0, 0, 0, 5.0)) == 0
