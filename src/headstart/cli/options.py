"""Options of ours on the command line, derived from the dataclasses that declare them.

Reads `config` and `learn.options`; `serve`, `map` and `replay` build their commands with it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Iterator
from typing import Any

import click

# Two dataclasses have a `max_assets`.
DELIVER, LEARN = "deliver_", "learn_"
PORT = click.IntRange(0, 65535)


class _Above0(click.FloatRange):
    """A number above 0, perhaps `inf`; click lets `nan` pass, which is in no range."""

    def __init__(self) -> None:
        super().__init__(0, min_open=True)

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        number: float = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value!r} is not a number.", param, ctx)
        return number


# RFC 9113, 6.5.2 and 6.9.1: no window is larger, and nothing else comes near it.
_RANGES: dict[type, click.ParamType[Any]] = {
    int: click.IntRange(1, 2**31 - 1),
    float: _Above0(),
}

# Their help says what 0 means.
_MAY_BE_ZERO = frozenset(("control_share", "max_connections_per_address", "max_unused_connections"))


def derived(
    kind: type, prefix: str = "", *, without: Collection[str] = (), hidden: bool = False
) -> Iterator[click.Option]:
    """Command-line options for the fields of a dataclass of options, each with `prefix`.

    What the server is told in the environment (HEADSTART_SERVE_...) is told to each command.
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
    if field.name == "max_memory":  # machines have more than a window can hold
        return click.IntRange(0)
    if field.name in _MAY_BE_ZERO:
        return click.IntRange(0, 2**31 - 1)
    return _RANGES.get(type(field.default))


def taken(given: dict[str, Any], kind: type, prefix: str = "") -> dict[str, Any]:
    """Take the options of a dataclass out of what was given."""
    names = [field.name for field in dataclasses.fields(kind) if prefix + field.name in given]
    return {name: given.pop(prefix + name) for name in names}
