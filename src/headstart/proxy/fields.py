"""Which header fields pass through the proxy, in both directions (RFC 9110, 7.6; RFC 7239).

Pure functions on lists of fields with lower-case names. Called by `heads` for requests and by `app`
for responses.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TypeAlias

Fields: TypeAlias = list[tuple[bytes, bytes]]

# RFC 9110, 7.6.1: of one connection only, whether Connection names them or not.
HOP_BY_HOP = frozenset(
    (
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"http2-settings",
    )
)
# These frame or route a message (RFC 9110, 6.5.1): behind the content it is too late for them.
_NO_TRAILERS = frozenset((b"content-length", b"host"))
# The proxy writes these itself. A client must not be able to say who it is.
_WRITTEN = frozenset(
    (
        b"host",
        b"content-length",
        b"expect",
        b"max-forwards",
        b"forwarded",
        b"via",
        b"cdn-loop",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-proto",
        b"x-forwarded-port",
        b"x-real-ip",
        b"proxy",  # HTTP_PROXY of CGI programs (CVE-2016-5385)
    )
)
_LEFT_OUT = HOP_BY_HOP | _WRITTEN
_LOCATIONS = frozenset((b"location", b"content-location"))
# A path that begins with two slashes, or what browsers take for it, would name another host.
_WITH_PATH = re.compile(rb"https?://([^/?#]*)(/(?![/\\\t]).*)?", re.IGNORECASE | re.DOTALL)
# The usual values of Connection, which name nothing that would pass otherwise.
_NAMES_NOTHING = frozenset((b"keep-alive", b"close", b"Keep-Alive"))


def named_by_connection(fields: Iterable[tuple[bytes, bytes]]) -> frozenset[bytes]:
    """Return the names that `Connection` lists: they end here too (RFC 9110, 7.6.1)."""
    values = [value for name, value in fields if name == b"connection"]
    if len(values) == 1 and values[0] in _NAMES_NOTHING:
        return frozenset()
    return frozenset(name.strip().lower() for value in values for name in value.split(b","))


def passed_to_upstream(fields: Fields) -> Fields:
    """Return a request's fields without those that end here or that the proxy writes itself.

    A name with an underscore would shadow the same name with a dash in a CGI or WSGI environment
    (`x_forwarded_for`), so such fields are left out, as nginx does. `cookie` is sent as one field.
    """
    named = named_by_connection(fields)
    passed = [
        pair
        for pair in fields
        if pair[0] not in _LEFT_OUT and pair[0] not in named and b"_" not in pair[0]
    ]
    crumbs = [value for name, value in passed if name == b"cookie"]
    if len(crumbs) > 1:  # RFC 9113, 8.2.3
        passed = [pair for pair in passed if pair[0] != b"cookie"]
        passed.append((b"cookie", b"; ".join(crumbs)))
    return passed


def leading_back(fields: Fields, host: bytes, root: bytes, plain: bytes = b"") -> Fields:
    """Return a response's fields in which URLs on the upstream's host lead to the client's host.

    An upstream that is asked for another host than the client named redirects to that one, where
    the client cannot go. A path alone stays where it is (RFC 9110, 10.2.2).

    Args:
        host: As the upstream was asked for it.
        root: The root path of the proxy, which the upstream does not know.
        plain: The path and query that the client asked for without TLS; b"" if with TLS.
    """
    return [
        (name, _on_this_host(value, host, root, plain)) if name in _LOCATIONS else (name, value)
        for name, value in fields
    ]


def _on_this_host(url: bytes, host: bytes, root: bytes, plain: bytes) -> bytes:
    found = _WITH_PATH.fullmatch(url)
    if found is None or found[1].lower() != host.lower():
        return url
    path = root + (found[2] or b"/")
    # The path alone would send a client that has to come by TLS back to where it is, for ever.
    return url if path == plain and url[:5].lower() == b"https" else path


def passed_to_client(fields: Fields) -> Fields:
    """Return a list of a response's fields without those of the connection to the upstream."""
    ending = HOP_BY_HOP
    for name, value in fields:
        if name == b"connection" and value not in _NAMES_NOTHING:
            ending = named_by_connection(fields) | HOP_BY_HOP
            break
    return [pair for pair in fields if pair[0] not in ending]


def trailers_to_client(fields: Fields) -> Fields:
    """Return a response's trailers without those that would frame or route (RFC 9110, 6.5.1)."""
    return [pair for pair in passed_to_client(fields) if pair[0] not in _NO_TRAILERS]


def forwarded(fields: Fields, client: str, scheme: str, host: bytes, *, trusted: bool) -> Fields:
    """Return the headers that tell an upstream about the client.

    Args:
        fields: The request's own.
        client: The client's address, as uvicorn's trusted proxies resolved it; "" if unknown.
        scheme: The client's scheme: http or https.
        host: The authority of the request.
        trusted: The peer is a trusted proxy. Its list of addresses is kept; others' are replaced.
    """
    address = client.encode()
    chain, first_host = address, host
    if trusted:
        given = [value for name, value in fields if name == b"x-forwarded-for"]
        chain = b", ".join(given) or address
        first_host = next((value for name, value in fields if name == b"x-forwarded-host"), host)
    told: Fields = [
        (b"x-forwarded-proto", scheme.encode()),
        (b"x-forwarded-host", first_host),
    ]
    if address:
        node = b'"[%b]"' % address if b":" in address else address
        told += [
            (b"x-forwarded-for", chain),
            (b"x-real-ip", address),
            (b"forwarded", b'for=%b;host="%b";proto=%b' % (node, first_host, scheme.encode())),
        ]
    return told
