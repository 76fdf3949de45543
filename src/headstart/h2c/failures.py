"""Which exit code an error has, and how it is told.

Reads the tree of errors; called by `daemon` and `wiretap`. The codes themselves are in `exits`.
"""

from __future__ import annotations

from headstart.client.errors import (
    ClientTimeoutError,
    ConnectError,
    NotHttp2Error,
    RequestError,
    TlsError,
)
from headstart.errors import ConfigurationError, HeadstartError, LocalProtocolError, StreamGoneError
from headstart.h2c import exits
from headstart.h2c.options import UsageError


class NotConnectedError(HeadstartError):
    """No connection is current."""


# The first that fits decides.
_CODES: tuple[tuple[type[HeadstartError], int], ...] = (
    (UsageError, exits.USAGE),
    (StreamGoneError, exits.REQUEST_FAILED),
    (LocalProtocolError, exits.USAGE),
    (ConfigurationError, exits.USAGE),
    (TlsError, exits.TLS),
    (ClientTimeoutError, exits.TIMED_OUT),
    (NotHttp2Error, exits.NOT_CONNECTED),
    (ConnectError, exits.NOT_CONNECTED),
    (NotConnectedError, exits.NOT_CONNECTED),
)


def exit_code(error: HeadstartError) -> int:
    """Return the exit code for an error that ended a command."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), exits.REQUEST_FAILED)


def explanation(error: HeadstartError) -> str:
    """Return the error in one line, with advice."""
    hint = error.hint
    if isinstance(error, TlsError) and error.hint_for_command:
        hint = error.hint_for_command
    hint = hint.rstrip(".")
    if isinstance(error, RequestError) and not hint:
        hint = exits.LOOK
    return f"{error}; {_continued(hint)}" if hint else str(error)


def _continued(hint: str) -> str:
    """Return a sentence in the form that follows a semicolon; abbreviations keep their capitals."""
    return hint[:1].lower() + hint[1:] if hint[1:2].islower() or hint[1:2] == " " else hint
