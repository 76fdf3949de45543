"""The request that a redirection leads to, for `-L` (RFC 9110, 15.4).

Pure; called by `requesting`.
"""

from __future__ import annotations

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
    where = urldefrag(urljoin(f"{origin}{target}", location)).url
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
