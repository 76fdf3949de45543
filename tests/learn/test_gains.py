"""Tests of headstart.learn.gains."""

from __future__ import annotations

import pytest

from headstart.learn.gains import Gains


def test_the_gain_is_what_lies_between_the_two_means() -> None:
    gains = Gains(10)
    for delivered, control in ((0.1, 0.3), (0.2, 0.4), (0.3, 0.5)):
        gains.add("/", delivered, control=False)
        gains.add("/", control, control=True)

    gain = gains.of("/")

    assert gain.seconds == pytest.approx(0.2)
    assert (gain.delivered, gain.control) == (3, 3)
    assert gain.error == pytest.approx((2 * 0.01 / 3) ** 0.5)
    assert gains.of("") == gain


def test_there_is_no_gain_without_both_sorts_of_views() -> None:
    gains = Gains(10)
    gains.add("/", 1.0, control=False)

    assert gains.of("/").seconds == 0.0
    assert gains.of("/elsewhere").delivered == 0


def test_pages_are_bounded_and_their_sum_is_kept() -> None:
    gains = Gains(3)
    for page in range(100):
        gains.add(f"/{page}", 1.0, control=False)

    assert gains.of("/0").delivered == 0
    assert gains.of("/99").delivered == 1
    assert gains.of("").delivered == 100
