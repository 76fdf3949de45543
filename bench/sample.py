"""What one measurement gives, and how measurements of several rounds are compared. Pure.

Samples are made by the tools that `rounds` and `clients` call; ratios are for `report`, `targets`
and `picture`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TypeAlias


class LoadFailed(Exception):
    """A run gave no figures; the message says why."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One run against one server.

    Attributes:
        rate: Successes a second.
        done: Successes.
        errors: Failed, timed out, or answered with another status than 2xx.
        data: Bytes of the bodies.
        processor: Seconds of processor time that was used for `done`, 0 where unknown.
        p50: Seconds within which half of all answers came, 0 where that was not measured.
        p99: The same for 99 of 100.
        late: Seconds by which the client itself was late, at most, for 99 of 100 requests.
        memory: Bytes; of what, the scenario's kind says.
        generator: The part of its core that the load generator used; where it is near 1, the
            generator is measured and not the server. 0 where unknown.
    """

    rate: float
    done: int
    errors: int
    data: int
    processor: float = 0.0
    p50: float = 0.0
    p99: float = 0.0
    late: float = 0.0
    memory: float = 0.0
    generator: float = 0.0


@dataclass(frozen=True, slots=True)
class Ratio:
    """One's figure against another's, over rounds: the median, the lowest and the highest."""

    middle: float
    lowest: float
    highest: float

    def __str__(self) -> str:
        return f"{self.middle:.2f} ({self.lowest:.2f}..{self.highest:.2f})"


Figure: TypeAlias = Callable[[Sample], float]


def by_rate(sample: Sample) -> float:
    """Successes a second."""
    return sample.rate


def by_p50(sample: Sample) -> float:
    """Seconds within which half of all answers came."""
    return sample.p50


def by_p99(sample: Sample) -> float:
    """Seconds within which 99 of 100 answers came."""
    return sample.p99


def by_late(sample: Sample) -> float:
    """Seconds by which the client was late."""
    return sample.late


def by_memory(sample: Sample) -> float:
    """Bytes."""
    return sample.memory


def by_generator(sample: Sample) -> float:
    """The part of its core that the load generator used."""
    return sample.generator


def by_processor(sample: Sample) -> float:
    """Seconds of processor time for each success, 0 where that is unknown."""
    return sample.processor / sample.done if sample.done else 0.0


def ratio(
    ours: Sequence[Sample], theirs: Sequence[Sample], figure: Figure = by_rate
) -> Ratio | None:
    """Round by round, as far as both have samples; None where they share no round."""
    pairs = [(figure(a), figure(b)) for a, b in zip(ours, theirs, strict=False)]
    each = [a / b for a, b in pairs if b]
    return Ratio(median(each), min(each), max(each)) if each else None


def added_milliseconds(
    ours: Sequence[Sample], theirs: Sequence[Sample], figure: Figure
) -> Ratio | None:
    """Return how much more ours is, round by round, of figures in seconds; see `ratio`."""
    pairs = [(figure(a), figure(b)) for a, b in zip(ours, theirs, strict=False)]
    each = [(a - b) * 1000 for a, b in pairs if b]
    return Ratio(median(each), min(each), max(each)) if each else None


def middle(samples: Sequence[Sample], figure: Figure) -> float:
    """The median figure, 0 where there is none."""
    return median([figure(sample) for sample in samples]) if samples else 0.0


def rate(samples: Sequence[Sample]) -> float:
    """The median rate, 0 where there is none."""
    return middle(samples, by_rate)


def errors(samples: Sequence[Sample]) -> int:
    """Of all rounds."""
    return sum(sample.errors for sample in samples)
