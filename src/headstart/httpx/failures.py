"""The client's errors as httpx's, so that its users catch errors that they know.

Called by `transport`, `sync` and `responses`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from headstart.client.errors import ClientTimeoutError, ConnectError, NotHttp2Error, Phase, TlsError
from headstart.errors import ConfigurationError, HeadstartError, LocalProtocolError

_TIMEOUTS = {
    Phase.CONNECTION: httpx.ConnectTimeout,
    Phase.STREAM: httpx.PoolTimeout,
    Phase.UPLOAD: httpx.WriteTimeout,
    Phase.RESPONSE: httpx.ReadTimeout,
}


@contextmanager
def as_httpx(request: httpx.Request) -> Iterator[None]:
    """Raise httpx's error for each error of the client; its hint stays a note.

    Raises:
        httpx.TransportError: The request failed.
    """
    try:
        yield
    except HeadstartError as error:
        raise translated(error, request) from error


def translated(error: HeadstartError, request: httpx.Request) -> httpx.TransportError:
    """Return httpx's error for one of the client's."""
    made = _class_for(error)(str(error), request=request)
    if error.hint:
        made.add_note(error.hint)
    return made


def _class_for(error: HeadstartError) -> type[httpx.TransportError]:
    match error:
        case ClientTimeoutError(phase=phase):
            return _TIMEOUTS[phase]
        case ConnectError() | TlsError() | NotHttp2Error():
            return httpx.ConnectError
        case LocalProtocolError():
            return httpx.LocalProtocolError
        case ConfigurationError():
            return httpx.UnsupportedProtocol
        case _:
            return httpx.RemoteProtocolError
