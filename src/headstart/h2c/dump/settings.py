"""The settings of a dump: its format, its file, and the choice of frames.

Apart from the writers, since `h2c` parses arguments without the frames' modules. Made by
`h2c.options.process`; read by `tap` and the writers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum, unique
from typing import TYPE_CHECKING

from headstart.errors import ConfigurationError

if TYPE_CHECKING:
    from headstart.wire.frames import Frame

_UNKNOWN = re.compile(r"UNKNOWN(_0X[0-9A-F]{2})?")


@unique
class DumpFormat(StrEnum):
    """The format of a dump."""

    TEXT = "text"
    JSON = "json"
    HAR = "har"


@dataclass(frozen=True, slots=True)
class FrameFilter:
    """A choice of frames: all of them or the included ones, without the excluded ones.

    Make it with `of`, which checks the names.
    """

    include: frozenset[str] = frozenset()
    exclude: frozenset[str] = frozenset()

    @classmethod
    def of(cls, include: Iterable[str] = (), exclude: Iterable[str] = ()) -> FrameFilter:
        """Return a filter for frame types by name, in upper or lower case, separated by commas.

        `UNKNOWN` stands for all types without a name, `UNKNOWN_0xbe` for one of them.

        Raises:
            ConfigurationError: A name is not that of a frame type.
        """
        return cls(_kinds(include), _kinds(exclude))

    def admits(self, frame: Frame) -> bool:
        """Return true if the frame is shown."""
        names = {frame.kind.upper()}
        if frame.kind.startswith("UNKNOWN"):
            names.add("UNKNOWN")
        return bool(not self.include or names & self.include) and not names & self.exclude


def _kinds(names: Iterable[str]) -> frozenset[str]:
    return frozenset(
        _kind(part.strip()) for name in names for part in name.split(",") if part.strip()
    )


def _kind(name: str) -> str:
    # Imported here: the frames take half as long to import as all options, and most commands name
    # no types of them.
    from headstart.wire.payloads import KINDS

    kind = name.upper().replace("-", "_")
    if kind not in KINDS and not _UNKNOWN.fullmatch(kind):
        known = ", ".join([*KINDS, "UNKNOWN"])
        raise ConfigurationError(
            f"no frame type is called {name!r}; there are {known}",
            hint="Name frame types with commas between them, for instance HEADERS,PUSH_PROMISE.",
        )
    return kind


@dataclass(frozen=True, slots=True)
class DumpOptions:
    """How frames are shown.

    Attributes:
        file: Where the dump goes, "" for standard output.
        show_secrets: Do not mask credentials and cookies.
    """

    file: str = ""
    format: DumpFormat = DumpFormat.TEXT
    shown: FrameFilter = field(default_factory=FrameFilter)
    show_secrets: bool = False
