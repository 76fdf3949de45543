"""Samplers whose decision is known without a look at the request."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
from opentelemetry.context import Context
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    DEFAULT_ON,
    Decision,
    ParentBased,
    ParentBasedTraceIdRatio,
    Sampler,
    SamplingResult,
    TraceIdRatioBased,
)
from opentelemetry.trace import NoOpTracer, SpanKind
from opentelemetry.util.types import Attributes

from headstart.observe.sampling import GivenId, known_sampler
from tests.observe.recorded import Recording

ALL = 1 << 64


class ByPath(Sampler):
    """Looks at the request."""

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Any] | None = None,
        trace_state: Any = None,
    ) -> SamplingResult:
        wanted = (attributes or {}).get("url.path") == "/wanted"
        return SamplingResult(Decision.RECORD_AND_SAMPLE if wanted else Decision.DROP, attributes)

    def get_description(self) -> str:
        return "AlwaysOffSampler"  # as if it were another


class OtherRule(TraceIdRatioBased):
    """One of another version: it decides by other bits of the ID."""


@pytest.mark.parametrize(
    ("sampler", "bound", "heeds_parent"),
    [
        (ALWAYS_OFF, 0, False),
        (ALWAYS_ON, ALL, False),
        (DEFAULT_ON, ALL, True),
        (ParentBased(ALWAYS_OFF), 0, True),
        (TraceIdRatioBased(0.25), ALL // 4, False),
        (TraceIdRatioBased(1e-9), round(1e-9 * ALL), False),
        (TraceIdRatioBased(0.0), 0, False),
        (TraceIdRatioBased(1.0), ALL, False),
        (ParentBasedTraceIdRatio(0.01), round(0.01 * ALL), True),
        (ParentBased(TraceIdRatioBased(0.01)), round(0.01 * ALL), True),
    ],
    ids=lambda value: value.get_description() if isinstance(value, Sampler) else "",
)
def test_samplers_of_the_sdk_are_known(sampler: Sampler, bound: int, heeds_parent: bool) -> None:
    found = known_sampler(Recording(sampler).provider.get_tracer("headstart"))

    assert found is not None
    assert (found.bound, found.heeds_parent, found.flags) == (bound, heeds_parent, 2)


@pytest.mark.parametrize(
    "sampler",
    [
        ByPath(),
        ParentBased(ByPath()),
        ParentBased(ALWAYS_ON, remote_parent_not_sampled=ALWAYS_ON),
        ParentBased(ALWAYS_ON, remote_parent_sampled=TraceIdRatioBased(0.5)),
    ],
)
def test_any_other_sampler_has_to_be_asked(sampler: Sampler) -> None:
    tracer = Recording(sampler).provider.get_tracer("headstart")

    assert known_sampler(tracer) is None or not isinstance(sampler, ByPath)
    assert known_sampler(NoOpTracer()) is None


def test_sampler_that_decides_by_another_rule_has_to_be_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tracer = Recording(TraceIdRatioBased(0.5)).provider.get_tracer("headstart")
    assert known_sampler(tracer) is not None
    monkeypatch.setattr(TraceIdRatioBased, "TRACE_ID_LIMIT", (1 << 56) - 1)
    tracer = Recording(TraceIdRatioBased(0.5)).provider.get_tracer("headstart")
    # The class says a bound of 55 bits, and the decision looks at the last 64.
    monkeypatch.setattr(TraceIdRatioBased, "TRACE_ID_LIMIT", (1 << 64) - 1)

    assert known_sampler(tracer) is None


def test_trace_that_was_decided_about_is_the_one_that_is_recorded() -> None:
    recording = Recording(TraceIdRatioBased(0.5))
    theirs = recording.provider.get_tracer("headstart")
    found = known_sampler(theirs)
    assert found is not None
    random.seed(9113)
    given: list[int] = []
    while len(given) < 20:
        trace_id = found.new_trace_id()
        if trace_id % ALL < found.bound:
            given.append(trace_id)
            found.ids.given = trace_id
            found.tracer.start_span("GET", context=Context()).end()

    assert [span.context.trace_id for span in recording.ended] == given
    # Others who ask for a tracer of this name have the provider's own.
    assert theirs is not found.tracer
    assert not isinstance(vars(theirs)["id_generator"], GivenId)


class Counting(IdGenerator):
    """IDs that are not random."""

    def __init__(self) -> None:
        self.last = 0

    def generate_trace_id(self) -> int:
        self.last += 1
        return self.last

    def generate_span_id(self) -> int:
        return 7


def test_given_id_is_used_once() -> None:
    ids = GivenId(Counting())
    ids.given = 99

    made = [ids.generate_trace_id() for _ in range(3)]

    assert made == [99, 1, 2]
    assert ids.generate_span_id() == 7
    assert not ids.is_trace_id_random()
