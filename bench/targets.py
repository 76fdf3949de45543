"""The bounds for headstart's figures, and whether the results keep them. Pure; called by `report`.

Some bounds are lower with a Python that was built without profile-guided optimization: headstart is
written in Python, and the servers that it is compared with are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from bench import middleware, pageload
from bench.clients import contest
from bench.links import by_share
from bench.proxies import CACHED, DIRECT, NGHTTPX, NGINX
from bench.rounds import Result
from bench.sample import (
    Figure,
    Ratio,
    Sample,
    added_milliseconds,
    by_memory,
    by_p50,
    by_p99,
    by_processor,
    by_rate,
    ratio,
)
from bench.servers import BASELINE, FAST, LEARNING

_BOUNDS: Final = {
    "bare": (1.7, 1.5),
    "bare-tls": (1.7, 1.5),
    "starlette": (1.7, 1.5),
    "starlette-tls": (1.7, 1.5),
    "bare-100x1": (1.2, 0.85),
    "bare-tls-100x1": (1.0, 0.75),
    "starlette-100x1": (0.9, 0.8),
    "starlette-tls-100x1": (0.85, 0.75),
}
"""Scenario -> the least ratio to the fastest server, with an optimized Python and without."""


def by_kibibytes(sample: Sample) -> float:
    """KiB of memory."""
    return by_memory(sample) / 1024


@dataclass(frozen=True, slots=True)
class Target:
    """One thing that is wanted: a bound for headstart's figure : another's.

    Attributes:
        scenario: Its name.
        rivals: The best of them counts; none where the figure itself is a ratio.
        bound: The least ratio, or the largest where less is better.
        figure: What of a sample is compared.
        less: Whether less is better.
        ours: Whose figure it is.
        added: Whether the difference of the figures counts, in milliseconds, and not their ratio.
    """

    scenario: str
    rivals: tuple[str, ...]
    bound: float
    figure: Figure = by_rate
    less: bool = False
    ours: str = BASELINE
    added: bool = False

    @property
    def wanted(self) -> str:
        """The bound in words."""
        unit = " ms" * self.added
        return f"{'at most' if self.less else 'at least'} {self.bound:g}{unit}"

    def measured(self, result: Result) -> Ratio | None:
        """Against the best of the rivals that were measured; None where a side is missing."""
        return self._against_best(result, self.figure, less=self.less)

    def is_met(self, result: Result) -> bool:
        """Whether the median ratio is within the bound."""
        found = self.measured(result)
        if found is None:
            return False
        return found.middle <= self.bound if self.less else found.middle >= self.bound

    def by_processor_time(self, result: Result) -> Ratio | None:
        """The same with rates as one core's time would allow; None for what is no rate."""
        if self.figure is not by_rate:
            return None
        return self._against_best(result, _per_processor_second, less=False)

    def _against_best(self, result: Result, figure: Figure, *, less: bool) -> Ratio | None:
        ours = result.samples.get(self.ours, [])
        if not self.rivals:
            each_own = [figure(sample) for sample in ours]
            return Ratio(median(each_own), min(each_own), max(each_own)) if each_own else None
        compared = added_milliseconds if self.added else ratio
        each = [compared(ours, result.samples.get(rival, []), figure) for rival in self.rivals]
        found = [one for one in each if one is not None]
        if not found:
            return None
        pick = max if less else min
        return pick(found, key=lambda one: one.middle)


def _per_processor_second(sample: Sample) -> float:
    cost = by_processor(sample)
    return 1 / cost if cost else 0.0


_TARGETS: Final = (
    *[Target(name, ("uvicorn",), 5.0) for name in ("bare", "bare-tls")],
    Target("bare-100k", ("h2corn",), 1.0),
    Target("pushes", ("nghttpd",), 0.3),
    Target("memory-tls", (), 45.0, figure=by_kibibytes, less=True),
    *[
        Target(name, FAST, 1.0, figure=by_p99, less=True)
        for name in ("latency-bare", "latency-bare-tls", "latency-starlette")
    ],
    *[Target(name, (BASELINE,), bound, ours=LEARNING) for name, bound in middleware.WANTED.items()],
    Target(
        "page-load",
        (pageload.FLOOR,),
        pageload.WANTED,
        figure=by_p50,
        less=True,
        ours=pageload.Way.PUSH,
    ),
    Target("http1", ("uvicorn",), 0.9),
    *[Target(name, (), 0.9, figure=by_share) for name in ("link-up", "link-down")],
    Target("link-up", ("granian",), 1.5),
    Target("link-up-8m", ("Go", "granian"), 1.5),
    *[
        Target(name, (rival,), bound, figure=_per_processor_second)
        for name, rival, bound in (
            ("proxy", NGHTTPX, 0.4),
            ("proxy", NGINX, 0.6),
            ("proxy-100x1", NGHTTPX, 0.5),
            ("proxy-100x1", NGINX, 0.5),
        )
    ],
    *[
        Target(name, (BASELINE,), 2.0, figure=_per_processor_second, ours=CACHED)
        for name in ("proxy", "proxy-100x1", "proxy-100k")
    ],
    Target("proxy-rest", (DIRECT,), 1.0, figure=by_p50, less=True, added=True),
    Target("client-gets", ("httpx",), 5.0),
    Target("client-gets-serial", ("httpx",), 4.5),
    *[Target(name, ("curl",), 0.5) for name in ("client-download", "client-download-tls")],
    Target("h2c-start", (contest.PYTHON,), 2.0, figure=by_p50, less=True, ours=contest.H2C),
)


def targets(*, optimized: bool) -> tuple[Target, ...]:
    """All that is wanted.

    Args:
        optimized: The servers run in a Python that was built with profile-guided optimization.
    """
    pushes = 0.45 if optimized else 0.3
    return (
        *[Target(name, FAST, _BOUNDS[name][0 if optimized else 1]) for name in _BOUNDS],
        *_TARGETS,
        Target("pushes-cached", ("nghttpd",), pushes, figure=_per_processor_second, ours=CACHED),
    )


_WORDS: Final[dict[Figure, str]] = {
    by_p99: "p99",
    by_p50: "time",
    by_share: "part of the link",
    by_kibibytes: "KiB",
    _per_processor_second: "by processor time",
}


def markdown(results: Sequence[Result], *, optimized: bool) -> str:
    """A table of the targets that the results say something about; "" where there is none."""
    found = {result.scenario.name: result for result in results}
    all_targets = targets(optimized=optimized)
    rows = [_row(each, found[each.scenario]) for each in all_targets if each.scenario in found]
    if not rows:
        return ""
    head = [
        "| | against | wanted | measured | by processor time | |",
        "|---|---|---|---:|---:|---|",
    ]
    return "\n".join([*head, *rows])


def missed(results: Sequence[Result], *, optimized: bool) -> list[str]:
    """What was measured and is not as wanted, a line each."""
    found = {result.scenario.name: result for result in results}
    lines = []
    for target in targets(optimized=optimized):
        if target.scenario not in found:
            continue
        result = found[target.scenario]
        measured = target.measured(result)
        if measured is not None and not target.is_met(result):
            rivals = " and ".join(target.rivals) or "what there is"
            lines.append(
                f"{target.scenario} against {rivals}: {measured.middle:.2f}, wanted {target.wanted}"
            )
    return lines


def _row(target: Target, result: Result) -> str:
    measured = target.measured(result)
    processor = target.by_processor_time(result)
    word = _WORDS.get(target.figure, str(result.scenario.kind))
    ours = "" if target.ours == BASELINE else f", {target.ours}"
    cells = [
        f"{result.scenario.title}{ours}: {word}",
        " and ".join(target.rivals) or "-",
        target.wanted,
        "-" if measured is None else str(measured),
        "-" if processor is None else f"{processor.middle:.2f}",
        _verdict(target, result, measured),
    ]
    return f"| {' | '.join(cells)} |"


def _verdict(target: Target, result: Result, measured: Ratio | None) -> str:
    if measured is None:
        return "not measured"
    return "met" if target.is_met(result) else "**missed**"
