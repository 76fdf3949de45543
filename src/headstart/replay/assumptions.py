"""Facts about the site that the user of a replay states because the log does not hold them.

Read by `live`, and by the command line, which loads no more for its help.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from headstart.replay.browsers import DAY


class Mode(StrEnum):
    """How the server sends ahead."""

    HINT = "hint"
    """In a 103, as to browsers."""
    PUSH = "push"
    """In pushes, as to programs that take them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumptions:
    """Facts that a log does not hold.

    Attributes:
        lifetime: Seconds for which an asset is fresh if the log lacks its cache headers.
        idle: Seconds of silence after which a client's connection ends.
        think_time: Seconds that each page takes to respond, in which pushes go out.
    """

    lifetime: float = DAY
    idle: float = 60.0
    think_time: float = 0.1
