"""How much later or sooner pages load, estimated from pairs of loads on a noisy machine.

Pure. Both loads of a pair follow each other, so that what else the machine does hits both alike.
The estimate is Hodges and Lehmann's: the median of the means of any two pairs. Its interval is that
of Wilcoxon's signed-rank test (Hollander, Wolfe and Chicken, Nonparametric Statistical Methods, 3.2
and 3.3). A load that takes three times as long as the others moves neither by much. `visits`
measures the pairs.
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations_with_replacement

_CONFIDENCE = 0.95
_RESAMPLES = 1000
_SEED = 10


@dataclass(frozen=True, slots=True)
class Estimate:
    """A ratio and the interval that holds the true one in 95 cases of 100."""

    ratio: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.ratio:.2f} ({self.low:.2f} to {self.high:.2f})"


def ratio_of(pairs: Sequence[tuple[float, float]]) -> Estimate:
    """Estimate how much longer the first load of a pair takes than the second, as a ratio.

    Args:
        pairs: Durations, at least six: fewer have no interval of 95 %.
    """
    means = _means([math.log(first / second) for first, second in pairs])
    outside = _outside(len(pairs))
    low, high = means[outside], means[-1 - outside]
    return Estimate(math.exp(statistics.median(means)), math.exp(low), math.exp(high))


def median_ratio_of(sites: Sequence[Sequence[tuple[float, float]]]) -> Estimate:
    """Estimate the median of the ratios of several sites.

    The interval is the bootstrap's: the pairs of each site are drawn anew from its own.
    """
    logs = [[math.log(first / second) for first, second in pairs] for pairs in sites]
    chance = random.Random(_SEED)
    medians = sorted(
        statistics.median(
            statistics.median(_means(chance.choices(each, k=len(each)))) for each in logs
        )
        for _ in range(_RESAMPLES)
    )
    cut = round(_RESAMPLES * (1 - _CONFIDENCE) / 2)
    median = statistics.median(statistics.median(_means(each)) for each in logs)
    return Estimate(math.exp(median), math.exp(medians[cut]), math.exp(medians[-1 - cut]))


def _means(values: Sequence[float]) -> list[float]:
    """Return the mean of each two values, and of each with itself, in order."""
    return sorted(
        (first + second) / 2 for first, second in combinations_with_replacement(values, 2)
    )


@cache
def _outside(pairs: int) -> int:
    """Return how many of the ordered means lie below the interval, and as many above it.

    Under the signed-rank test each of the ranks from 1 to `pairs` has a sign by chance, and the
    statistic is the sum of those with a plus.
    """
    ways = [1]
    for rank in range(1, pairs + 1):
        ways = [
            (ways[total] if total < len(ways) else 0) + (ways[total - rank] if total >= rank else 0)
            for total in range(len(ways) + rank)
        ]
    below, outside = 0, 0
    for count in ways:
        below += count
        if below / 2**pairs > (1 - _CONFIDENCE) / 2:
            break
        outside += 1
    if not outside:
        raise ValueError(f"{pairs} pairs are too few for an interval of {_CONFIDENCE:.0%}")
    return outside - 1
