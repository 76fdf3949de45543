"""What one measurement gives. Pure data; made by the tools, read by `report`."""

from __future__ import annotations

from dataclasses import dataclass


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
        processor: Seconds of processor time that the server used meanwhile, 0 where unknown.
    """

    rate: float
    done: int
    errors: int
    data: int
    processor: float = 0.0
