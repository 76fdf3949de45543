"""Options of ours on the command line, derived from the dataclasses that declare them.

Reads `config` and `learn.options`; `serve`, `map` and `replay` build their commands with it.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Collection, Iterator
from typing import Any, assert_never

import click

from headstart.config import Unit

# Two dataclasses have a `max_assets`.
DELIVER, LEARN = "deliver_", "learn_"


class IntRange(click.IntRange):
    """A number without a fraction, from a range; click would call it an "integer range"."""

    name = "integer"


class FloatRange(click.FloatRange):
    """A number from a range; click would call it a "float range"."""

    name = "number"


PORT = IntRange(0, 65535)


class _Above0(FloatRange):
    """A number above 0, perhaps `inf`; click lets `nan` pass, which is in no range."""

    def __init__(self, most: float | None = None) -> None:
        super().__init__(0, most, min_open=True)

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        number: float = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value!r} is not a number.", param, ctx)
        return number


class _Size(click.ParamType[int]):
    """A number of bytes, perhaps with a unit: 32MiB, 500KB."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        found = _SIZE.fullmatch(str(value).strip().lower())
        if found is None:
            self.fail(f"{value!r} is not a size: give bytes, or a number with KiB, MiB or GiB.")
        number, unit = found.groups()
        return int(number) * _UNITS[unit]


_SIZE = re.compile(r"([0-9]{1,15}) *(|b|k|kb|kib|m|mb|mib|g|gb|gib)")
_UNITS: dict[str, int] = {"": 1, "b": 1} | {
    unit + ending: 1024**power for power, unit in enumerate("kmg", 1) for ending in ("", "b", "ib")
}

# RFC 9113, 6.5.2 and 6.9.1: no window is larger, and nothing else comes near it.
_LARGEST = 2**31 - 1
_FROM_0 = IntRange(0, _LARGEST)
_RANGES: dict[type, click.ParamType[Any]] = {
    int: IntRange(1, _LARGEST),
    float: _Above0(),
}


def derived(
    kind: type, prefix: str = "", *, without: Collection[str] = (), hidden: bool = False
) -> Iterator[click.Option]:
    """Return command-line options for the fields of a dataclass of options, each with `prefix`.

    Each command reads the environment of the server (HEADSTART_SERVE_...).
    """
    for field in dataclasses.fields(kind):
        if "help" not in field.metadata or field.name in without:
            continue
        name = prefix + field.name
        flag = name.replace("_", "-")
        declaration = f"--{flag}/--no-{flag}" if isinstance(field.default, bool) else f"--{flag}"
        yield click.Option(
            [declaration, name],
            default=field.default,
            type=_range(field),
            show_default=True,
            help=field.metadata["help"],
            envvar=f"HEADSTART_SERVE_{name.upper()}",
            hidden=hidden,
        )


def _range(field: dataclasses.Field[Any]) -> click.ParamType[Any] | None:
    choices = field.metadata["choices"]
    if choices:
        return click.Choice(choices)
    unit: Unit = field.metadata["unit"]
    match unit:
        case "size":
            return _Size()
        case "share":  # the dataclass checks it as well, but does not know the option's name
            return _Above0(1)
        case "port":
            return PORT
        case "":
            return _FROM_0 if field.metadata["zero"] else _RANGES.get(type(field.default))
        case _:
            assert_never(unit)


def taken(given: dict[str, Any], kind: type, prefix: str = "") -> dict[str, Any]:
    """Take the options of a dataclass out of the given ones."""
    names = [field.name for field in dataclasses.fields(kind) if prefix + field.name in given]
    return {name: given.pop(prefix + name) for name in names}
