"""The request that a redirection leads to, for `-L` (RFC 9110, 15.4).

Pure; called by `requesting`, and for Location by `load`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from urllib.parse import urldefrag, urljoin

from headstart.client.origin import Origin, split_url
from headstart.errors import LocalProtocolError
from headstart.h2c.options.requests import FromFile, RequestCommand

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_SAME_METHOD = frozenset({307, 308})
_OF_CONTENT = frozenset({b"content-type", b"content-length", b"content-encoding"})
# Credentials for one server are not for another one, as in curl and browsers.
_OF_ORIGIN = frozenset({b"authorization", b"cookie", b"proxy-authorization", b"host"})


def location_of(fields: Iterable[tuple[bytes, bytes]]) -> str:
    """Return the value of Location, "" if there is none.

    Browsers and curl decode non-ASCII bytes as UTF-8. Other bytes are percent-encoded.
    """
    values = (value for name, value in fields if name == b"location")
    return next(values, b"").decode("utf-8", "surrogateescape")


def redirected(
    command: RequestCommand, origin: Origin, target: str, status: int, location: str
) -> RequestCommand | None:
    """Return the request that a response leads to, or None if the response is the last one.

    Raises:
        ConfigurationError: Location is not a URL of http or https.
        LocalProtocolError: The content came from a file and would have to be sent again.
    """
    if not command.redirections or status not in _REDIRECTS or not location:
        return None
    try:
        where = urldefrag(urljoin(f"{origin}{target}", location)).url
    except ValueError:  # brackets without an address between them
        where = location
    method, content, headers = command.method, command.content, command.headers
    if status not in _SAME_METHOD and method not in ("GET", "HEAD"):
        # RFC 9110, 15.4.4 for 303; 301 and 302 are followed as curl and browsers follow them.
        method, content = "GET", None
        headers = tuple(field for field in headers if field[0] not in _OF_CONTENT)
    if isinstance(content, FromFile):
        raise LocalProtocolError(
            f"the server leads to {where}, but the content of a file can be sent only once",
            hint="Send the request to that URL.",
        )
    if split_url(where)[0] != origin:
        headers = tuple(field for field in headers if field[0] not in _OF_ORIGIN)
    return replace(
        command,
        method=method,
        where=where,
        content=content,
        headers=headers,
        redirections=command.redirections - 1,
    )
