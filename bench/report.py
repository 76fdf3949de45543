"""Results -> Markdown. Pure; called by `__main__`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from bench import middleware, pageload, proxies, targets
from bench.clients.contest import CLIENTS, PYTHON
from bench.links import by_share
from bench.machine import Machine
from bench.rounds import Result
from bench.sample import (
    Sample,
    by_generator,
    by_late,
    by_memory,
    by_p50,
    by_p99,
    by_processor,
    errors,
    middle,
    rate,
    ratio,
)
from bench.scenarios import Kind, Part, Scenario
from bench.servers import BASELINE, GO, PEERS

_GIB: Final = 1024**3
_TOO_LATE: Final = 0.25
_RATES: Final = (Kind.REQUESTS, Kind.PUSHES)

RATES: Final = (
    "How many times as fast as that server headstart is: the median of the rounds' own ratios, and "
    "in parentheses the lowest and the highest. The first column is headstart's own median. "
    "nghttpd, written in C, serves files and is the limit."
)
COSTS: Final = (
    "Processor time of the server's processes, in the kernel too, for each answer or push: the "
    "median of the rounds. It depends less on what else the machine does than a rate."
)
GENERATOR: Final = (
    "The part of its own core that h2load used, its start included: the median of the rounds. "
    "Where that is near 100 %, the rate is h2load's and not the server's."
)
FREE: Final = (
    "As in the table of answers a second, but servers and h2load share all cores, as users run "
    "them, with one worker and with two."
)
LINK: Final = (
    "One request, or one response, over a link of 100 Mbit/s with a round trip of 100 ms: "
    "bytes a second, and the part of the link, if it has a limit. A run of more than ten seconds "
    "is cut off."
)
LATENCY: Final = (
    "Each server at half of its own peak load on 10 connections: the time within which half of all "
    "answers came, and 99 of 100, counted from when the request was due, and that load in "
    "requests a second. Medians of the rounds. Where the client itself was late, a note says so."
)
MEMORY: Final = (
    "Growth of the server's resident memory for each of 800 connections that have been used once "
    "and are idle."
)
GETS: Final = (
    "Small GETs on one connection to nghttpd: the median of the rounds, and the client's own "
    "processor time for each. curl is one process for all of them, its start included."
)
DOWNLOAD: Final = (
    "One response of 1 GiB from nghttpd, read in parts that are not kept: the median of the "
    "rounds, and the most memory that the process had."
)
PROXY: Final = (
    "Processor time of the proxy's processes for each response, or of the server's for each push; "
    "at rest, the median time to a response and that of 99 of 100, as the client sees it. The "
    "upstream is one nginx on the load's cores. Its own column says what it costs to ask an nginx "
    "without a proxy, on the server's core."
)
START: Final = (
    "From the start of a process to its end, the median of the rounds. `h2c get` finds its "
    "background process connected."
)

Cell = Callable[[Sequence[Sample]], str]
"""One server's samples -> what the table shows, "" where they say nothing."""


def markdown(machine: Machine, results: Sequence[Result]) -> str:
    """The whole report: what is wanted, the tables that the results have rows for, the machine."""
    notes: list[str] = []
    servers = [result for result in results if result.scenario.part is Part.SERVERS]
    http1 = [result for result in results if result.scenario.part is Part.HTTP1]
    free = [r for r in results if r.scenario.part in (Part.UNPINNED, Part.WORKERS)]
    sections = [
        _section("What is wanted", targets.markdown(results, optimized=machine.optimized)),
        _section("Answers and pushes a second", _rates(servers, notes)),
        _section("Processor time", _own(servers, _RATES, _cost, COSTS)),
        _section("Load generator", _own(servers, _RATES, _generator, GENERATOR)),
        _section("Without a core of one's own", _rates(free, notes, FREE)),
        _section("HTTP/1.1", _rates(http1, notes)),
        _section("Long links", _links(results, notes)),
        _section("Time to answer", _own(servers, [Kind.LATENCY], _times, LATENCY, notes)),
        _section("Memory of an idle connection", _own(servers, [Kind.MEMORY], _kib, MEMORY, notes)),
        _section("Clients: requests a second", _own(results, [Kind.GETS], _gets, GETS, notes)),
        _section("Clients: a download", _own(results, [Kind.DOWNLOAD], _download, DOWNLOAD, notes)),
        _section("Start of a process", _own(results, [Kind.START], _start, START, notes)),
        _section("Learning", _learning(results)),
        _section("A page's load", _page(results)),
        _section("Reverse proxies", _proxies(results, notes)),
        _section("What went wrong", _listed(notes)),
        _section("Measured on", _described(machine, results)),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _section(title: str, text: str) -> str:
    return f"## {title}\n\n{text}" if text else ""


def _listed(notes: Sequence[str]) -> str:
    return "\n".join(f"{number}. {note}" for number, note in enumerate(notes, 1))


def _names(results: Sequence[Result]) -> list[str]:
    """Servers or clients that the results know, in the order in which they are declared."""
    known = {name for r in results for name in (*r.samples, *r.failures, *r.left_out)}
    ordered = [*(peer.name for peer in (*PEERS, GO)), *proxies.NAMES, *CLIENTS, PYTHON]
    return [name for name in dict.fromkeys(ordered) if name in known]


def _rates(servers: Sequence[Result], notes: list[str], said: str = RATES) -> str:
    rows = [result for result in servers if result.scenario.kind in _RATES]
    if not rows:
        return ""
    others = [name for name in _names(rows) if name != BASELINE]
    table = [["", BASELINE, *others]]
    for result in rows:
        ours = rate(result.samples.get(BASELINE, []))
        own = f"{ours:,.0f} {result.scenario.kind}" if ours else _missing(result, BASELINE)
        cells = [_against(result, name) + _mark(result, name, notes) for name in others]
        table.append([result.scenario.title, own + _mark(result, BASELINE, notes), *cells])
    return f"{_table(table)}\n\n{said}"


def _against(result: Result, name: str) -> str:
    found = ratio(result.samples.get(BASELINE, []), result.samples.get(name, []))
    return _missing(result, name) if found is None else str(found)


def _own(
    results: Sequence[Result],
    kinds: Sequence[Kind],
    cell: Cell,
    said: str,
    notes: list[str] | None = None,
) -> str:
    """A table of everybody's own figures.

    Args:
        notes: Takes what went wrong; None where another table has told it.
    """
    rows = [result for result in results if result.scenario.kind in kinds]
    return _each_own(rows, lambda _, samples: cell(samples), said, notes)


def _each_own(
    rows: Sequence[Result],
    cell: Callable[[Scenario, Sequence[Sample]], str],
    said: str,
    notes: list[str] | None,
) -> str:
    """As `_own`, where what is shown depends on the scenario, too."""
    if not rows:
        return ""
    names = _names(rows)
    table = [["", *names]]
    for result in rows:
        cells = []
        for name in names:
            samples = result.samples.get(name, [])
            shown = cell(result.scenario, samples) or _missing(result, name)
            cells.append(shown + ("" if notes is None else _mark(result, name, notes)))
        table.append([result.scenario.title, *cells])
    return f"{_table(table)}\n\n{said}"


def _cost(samples: Sequence[Sample]) -> str:
    cost = middle(samples, by_processor)
    return f"{cost * 1e6:.1f} µs" if cost else ""


def _times(samples: Sequence[Sample]) -> str:
    if not samples:
        return ""
    half, most = (middle(samples, figure) * 1000 for figure in (by_p50, by_p99))
    return f"{half:.2f} / {most:.2f} ms at {rate(samples):,.0f}"


def _kib(samples: Sequence[Sample]) -> str:
    return f"{middle(samples, by_memory) / 1024:.1f} KiB" if samples else ""


def _generator(samples: Sequence[Sample]) -> str:
    share = middle(samples, by_generator)
    return f"{share:.0%}" if share else ""


def _links(results: Sequence[Result], notes: list[str]) -> str:
    rows = [result for result in results if result.scenario.kind is Kind.LINK]
    return _each_own(rows, _link, LINK, notes)


def _link(scenario: Scenario, samples: Sequence[Sample]) -> str:
    if not samples:
        return ""
    share = f", {middle(samples, by_share):.2f}" if scenario.limited else ""
    return f"{rate(samples) / 1e6:.1f} MB/s{share}"


def _gets(samples: Sequence[Sample]) -> str:
    cost = middle(samples, by_processor) * 1e6
    return f"{rate(samples):,.0f}/s, {cost:.0f} µs" if samples else ""


def _download(samples: Sequence[Sample]) -> str:
    if not samples:
        return ""
    memory = middle(samples, by_memory) / 1024**2
    return f"{rate(samples) / 1e6:,.0f} MB/s" + (f", {memory:.0f} MiB" if memory else "")


def _start(samples: Sequence[Sample]) -> str:
    return f"{middle(samples, by_p50) * 1000:.1f} ms" if samples else ""


def _learning(results: Sequence[Result]) -> str:
    rows = [result for result in results if result.scenario.part is Part.LEARNING]
    return middleware.markdown(rows) if rows else ""


def _proxies(results: Sequence[Result], notes: list[str]) -> str:
    rows = [result for result in results if result.scenario.part is Part.PROXY]
    return _own(rows, [*_RATES, Kind.REST], _cost_or_times, PROXY, notes)


def _cost_or_times(samples: Sequence[Sample]) -> str:
    half, most = (middle(samples, figure) * 1000 for figure in (by_p50, by_p99))
    return f"{half:.2f} / {most:.2f} ms" if half else _cost(samples)


def _page(results: Sequence[Result]) -> str:
    rows = [result for result in results if result.scenario.part is Part.PAGE]
    return "\n\n".join(map(pageload.markdown, rows))


def _missing(result: Result, name: str) -> str:
    return "failed" if name in result.failures else "-"


def _mark(result: Result, name: str, notes: list[str]) -> str:
    """The number of the note that says what went wrong, if anything did."""
    samples = result.samples.get(name, [])
    said = []
    if name in result.failures:
        said.append(f"failed: {_one_line(result.failures[name])}")
    if name in result.left_out:
        said.append(result.left_out[name])
    if errors(samples):
        said.append(f"{errors(samples)} errors beside {sum(s.done for s in samples)} successes")
    late, most = (middle(samples, figure) * 1000 for figure in (by_late, by_p99))
    if late > _TOO_LATE * most:
        said.append(f"the client itself was late, {late:.2f} of {most:.2f} ms")
    if not said:
        return ""
    note = f"{name}, {result.scenario.name}: {'; '.join(said)}"
    notes.append(note)
    return f" [{len(notes)}]"


def _one_line(text: str) -> str:
    return " ".join(text.split())[:300]


def _table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [_line(row, widths) for row in rows]
    rule = "|" + "|".join("-" * (width + 1) + ":" for width in widths) + "|"
    return "\n".join([lines[0], rule.replace(":", "-", 1), *lines[1:]])


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    first = row[0].ljust(widths[0])
    rest = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
    return "| " + " | ".join([first, *rest]) + " |"


def _built(machine: Machine) -> str:
    return "optimized by profile" if machine.optimized else "not optimized by profile"


def _described(machine: Machine, results: Sequence[Result]) -> str:
    memory = f", {machine.memory / _GIB:.0f} GiB" if machine.memory else ""
    when = ", ".join(sorted({result.measured for result in results if result.measured}))
    lines = [
        f"{machine.processor}, {machine.cores} cores{memory}; {machine.system}; "
        f"load average {machine.load} at the start",
        f"{machine.python}, {_built(machine)}; {machine.h2load}; {machine.cores_used}; one worker "
        "and one event loop each, no access log",
        "; ".join(machine.versions.values()),
        when,
    ]
    return "\n".join(f"- {line}" for line in lines if line)
