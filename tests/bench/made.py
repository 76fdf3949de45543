"""Results made by hand."""

from __future__ import annotations

from bench.machine import Machine
from bench.rounds import Result
from bench.sample import Sample
from bench.scenarios import SCENARIOS

MACHINE = Machine(
    processor="A processor",
    cores=2,
    memory=4 * 1024**3,
    system="Linux",
    python="CPython",
    h2load="h2load",
    cores_used="one core each",
    load=0.5,
    stamp="2026-01-01, commit abc",
    versions={"x": "x 1.0"},
    optimized=True,
)


def samples(*rates: float, errors: int = 0) -> list[Sample]:
    """Rounds with those rates, each of 20 µs of processor time an answer."""
    return [Sample(rate, int(rate), errors, 0, processor=rate * 2e-5) for rate in rates]


def result() -> Result:
    """Of the first scenario: two servers that were measured, one that failed, one left out."""
    found = Result(SCENARIOS[0])
    found.samples = {
        "headstart": samples(100, 200, 300),
        "h2corn": samples(50, 200, 600),
        "granian": samples(50, 50, 50, errors=2),
    }
    found.failures = {"uvicorn": "ended with\nstatus 1"}
    found.left_out = {"hypercorn": "no Server Push"}
    return found
