"""Samplers of OpenTelemetry's SDK whose decision is known without a look at the request.

Making a span that is not recorded costs the SDK a third of a small request. So `spans` asks this
module first. All that is not certain here is left to the SDK.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from typing import Final

from opentelemetry.context import Context
from opentelemetry.sdk.trace import Tracer as SdkTracer
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import (
    Decision,
    ParentBased,
    ParentBasedTraceIdRatio,
    Sampler,
    StaticSampler,
    TraceIdRatioBased,
)
from opentelemetry.trace import Tracer

_RANDOM: Final = 2
"""The flag of W3C Trace Context, level 2, for trace IDs that are random."""
# What such a sampler says of itself, as the specification of the SDK has it.
_STATIC: Final = {"AlwaysOffSampler": 0, "AlwaysOnSampler": 1 << 64}
_RATIO: Final = re.compile(r"TraceIdRatioBased\{([0-9.e-]+)\}")
_PARENT_BASED: Final = re.compile(
    r"ParentBased\{root:([^,]*),remoteParentSampled:AlwaysOnSampler,"
    r"remoteParentNotSampled:AlwaysOffSampler,localParentSampled:AlwaysOnSampler,"
    r"localParentNotSampled:AlwaysOffSampler\}"
)


class GivenId(IdGenerator):
    """IDs of another generator, the next trace ID possibly given.

    Attributes:
        given: The next trace ID, or 0 for one of the generator's.
    """

    def __init__(self, generator: IdGenerator) -> None:
        self.given = 0
        self._generator = generator

    def generate_trace_id(self) -> int:
        """Return the given ID once, then new ones."""
        given, self.given = self.given, 0
        return given or self._generator.generate_trace_id()

    def generate_span_id(self) -> int:
        """Return a new ID."""
        return self._generator.generate_span_id()

    def is_trace_id_random(self) -> bool:
        """Return true if trace IDs are random numbers."""
        # Older SDKs do not know.
        known = getattr(self._generator, "is_trace_id_random", bool)
        return bool(known())


@dataclass(frozen=True, slots=True, eq=False)
class KnownSampler:
    """A sampler that decides by the trace ID, or as the parent did.

    Attributes:
        tracer: Makes the spans that are sampled.
        ids: Of its spans.
        bound: A trace without a parent is sampled if the last 64 bits of its ID are below it.
        heeds_parent: A request whose parent is not sampled is not sampled either.
        flags: Those of a trace that is not sampled.
        new_trace_id: Makes one.
    """

    tracer: Tracer
    ids: GivenId
    bound: int
    heeds_parent: bool
    flags: int
    new_trace_id: Callable[[], int]


def known_sampler(tracer: Tracer) -> KnownSampler | None:
    """Return the rule of a tracer's sampler, or None if it has to be asked each time."""
    if type(tracer) is not SdkTracer:
        return None
    said = tracer.sampler.get_description()
    parent_based = type(tracer.sampler) in (ParentBased, ParentBasedTraceIdRatio)
    if parent_based:
        found = _PARENT_BASED.fullmatch(said)
        said = "" if found is None else found[1]
    elif type(tracer.sampler) not in (StaticSampler, TraceIdRatioBased):
        return None
    bound = _bound(said)
    if bound is None or not _holds(tracer.sampler, bound):
        return None
    # The tracer is the provider's for all who ask it for one of this name.
    ours = copy(tracer)
    ids = ours.id_generator = GivenId(tracer.id_generator)
    flags = _RANDOM if ids.is_trace_id_random() else 0
    new_trace_id = tracer.id_generator.generate_trace_id
    return KnownSampler(ours, ids, bound, parent_based, flags, new_trace_id)


def _bound(said: str) -> int | None:
    if said in _STATIC:
        return _STATIC[said]
    ratio = _RATIO.fullmatch(said)
    return None if ratio is None else TraceIdRatioBased(float(ratio[1])).bound


def _holds(sampler: Sampler, bound: int) -> bool:
    """Return whether the sampler decides by the bound: another version may have another rule."""
    last = (1 << 64) - 1
    for number in (0, bound - 1, bound, last):
        if 0 <= number <= last:
            decision = sampler.should_sample(Context(), (1 << 64) + number, "GET").decision
            if (decision is Decision.RECORD_AND_SAMPLE) is not (number < bound):
                return False
    return True
