"""Sizes and times."""

from __future__ import annotations

import pytest

from headstart import figures


@pytest.mark.parametrize(
    ("octets", "shown"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.00 kB"),
        (1536, "1.54 kB"),
        (99_950, "100 kB"),
        (999_499, "999 kB"),
        (999_500, "1.00 MB"),
        (12_345_678, "12.3 MB"),
        (1_073_741_824, "1.07 GB"),
        (5e15, "5000 TB"),
    ],
)
def test_sizes_have_three_digits(octets: float, shown: str) -> None:
    assert figures.size(octets) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "<0.1 ms"),
        (0.00004, "<0.1 ms"),
        (0.00006, "0.1 ms"),
        (0.0004, "0.4 ms"),
        (0.0123, "12 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1.00 s"),
        (12.34, "12.3 s"),
        (59.6, "1:00 min"),
        (125, "2:05 min"),
        (3725, "1:02:05 h"),
    ],
)
def test_times_are_in_the_unit_that_fits(seconds: float, shown: str) -> None:
    assert figures.time(seconds) == shown
