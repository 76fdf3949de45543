"""103 Early Hints (RFC 8297) of WSGI applications: `environ["wsgi.early_hints"]`.

gunicorn has this callable since version 24: it takes the headers of a 103 as pairs of name and
value, and sends them at once. `EarlyHints` is ours, and `adapter` puts it into the environ where
the server offers a 103. `hint` calls it, here and under gunicorn.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from headstart.wire.links import Link, as_link
from headstart.wsgi.outbox import Outbox

KEY: Final = "wsgi.early_hints"
# RFC 9110, 5.5. A value with a line end would begin another header.
_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")


class EarlyHints:
    """The callable of one request; it sends a 103 that has the `Link` headers that it is given.

    Other headers are left out, since browsers read no other ones in a 103. A call after the
    response has started does nothing, as with gunicorn.
    """

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    def __call__(self, headers: Iterable[tuple[str | bytes, str | bytes]]) -> None:
        """Send the links. Called in the application's thread.

        Raises:
            ValueError: A value has a character that HTTP forbids.
            ClientLeft: The client has disconnected.
        """
        links = [_octets(value) for name, value in headers if _octets(name).lower() == b"link"]
        for link in links:
            if not _VALUE.fullmatch(link):
                raise ValueError(f"A Link header has a character that HTTP forbids: {link!r}.")
        if links:
            self._outbox.put({"type": "http.response.early_hint", "links": links})


def hint(environ: Mapping[str, Any], *links: Link | str) -> bool:
    """Send a 103 with all the links together, since browsers read only one.

    Call it before the response starts. Hinted resources must be cacheable, or a browser fetches
    them twice.

    Args:
        environ: The request. gunicorn offers a 103 to every client, and many programs take it for
            the response. There, only requests that a browser marks as a navigation get one.
        links: A string is a target whose extension tells its use, as with `Link.guess`.

    Returns:
        True if the server took them. If it is false, send them as `Link` headers of the response.

    Raises:
        LinkError: The name of a target does not tell its use.
    """
    values = [link.field_value().decode() for link in map(as_link, links)]
    send: Callable[[list[tuple[str, str]]], None] | None = environ.get(KEY)
    if send is None or not values or not _takes_hints(environ, send):
        return False
    send([("Link", value) for value in values])
    return True


def needs_links(environ: Mapping[str, Any]) -> bool:
    """Return true if the response needs the links of a 103 as well.

    A server other than ours speaks HTTP/1.1 to a proxy or a CDN, since browsers follow a 103 over
    HTTP/2 alone. The proxy may drop the 103, and a CDN makes one from the response's Link headers.
    """
    ours = isinstance(environ.get(KEY), EarlyHints)
    protocol: str = environ.get("SERVER_PROTOCOL", "HTTP/1.1")
    return not ours and protocol.startswith("HTTP/1")


def _takes_hints(environ: Mapping[str, Any], send: object) -> bool:
    """Return true if the client can use a 103; our own server has decided that before."""
    if isinstance(send, EarlyHints):
        return True
    navigation = environ.get("HTTP_SEC_FETCH_MODE") == "navigate"
    return navigation and environ.get("REQUEST_METHOD") == "GET"


def _octets(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("latin-1")
