"""Pushed responses and streams: `push-list`, `stream-info`.

Called by the package.
"""

from __future__ import annotations

from dataclasses import dataclass

from headstart.h2c.options.grammar import Grammar


@dataclass(frozen=True, slots=True)
class PushList:
    """List the pushed responses that wait."""

    long: bool
    json: bool


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """List the current connection's streams.

    Attributes:
        verbose: With their windows.
    """

    closed: bool
    verbose: bool


def declare(grammar: Grammar) -> None:
    """Declare the commands of this module."""
    pushes = grammar.command(
        "push-list",
        lambda given: PushList(given.long, given.json),
        "list the pushed responses that wait for a 'get'",
        """
h2c push-list            a path a line
h2c push-list --json     everything that is known
""",
    )
    pushes.flag("-l", "--long", help="stream, parent, status, size, age, state; promises refused")
    pushes.flag("--json", help="the same as a JSON array")
    streams = grammar.command(
        "stream-info",
        lambda given: StreamInfo(given.closed, given.verbose),
        "list the current connection's streams",
        """
h2c stream-info            those that are open, and pushed responses that wait
h2c stream-info --closed   the last hundred that have ended, too
h2c stream-info -v         with what may still be sent and received on each
""",
    )
    streams.flag("--closed", help="those that have ended, too")
    streams.flag("-v", "--verbose", help="flow-control windows, and bytes received")
