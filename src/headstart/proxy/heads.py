"""The header section that an upstream gets for an ASGI request (RFC 9112).

Reads a scope, writes bytes. `RequestHeads` remembers what a client repeats: most requests of a
connection differ in nothing but their target. Called by `app` once for each request.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import quote

from headstart.config import ProxyOptions
from headstart.deliver.asgi import Scope, query_part
from headstart.errors import LocalProtocolError
from headstart.proxy.fields import Fields, forwarded, passed_to_upstream

_VERSIONS = {"1.0": b"1.0", "1.1": b"1.1", "2": b"2.0", "3": b"3.0"}
_PSEUDONYM = b"headstart"
_BREAKS = re.compile(rb"[\r\n\0]")
_UNSAFE = re.compile(rb"[\r\n\0 ]")
# RFC 3986, 3.3: what stands in a path as it is.
_PATH_CHARACTERS = "/!$&'()*+,;=:@~-._"
# Clients whose last header section is remembered, up to 16 KiB each.
_MOST_REMEMBERED: Final = 256


@dataclass(slots=True)
class RequestHead:
    """All of a request's head but its target, sent ahead of its content. Treat it as immutable.

    Attributes:
        method: In upper case.
        fields: Without those that frame the content.
        content_length: As the client gave it, or None.
        expects_continue: The client waits for a 100 before it sends its content.
        may_have_content: False if the request certainly has no content.
        has_te: It has a TE header.
        hops: The number of proxies of this kind that it came through.
        returns: How often it came through this one.
        max_forwards: How many more hops OPTIONS or TRACE may take (RFC 9110, 7.6.2), or None.
        trace: Further fields, which tell the upstream of the request's place in a trace.
    """

    method: str
    fields: Fields
    content_length: int | None
    expects_continue: bool
    may_have_content: bool
    has_te: bool = False
    hops: int = 0
    returns: int = 0
    max_forwards: int | None = None
    trace: Fields = field(default_factory=list)
    _lines: bytes = field(default=b"", repr=False, compare=False)

    def with_trace(self, trace: Fields) -> RequestHead:
        """Return the header section of a request with another place in a trace."""
        return replace(self, trace=trace)

    def framed(self, target: bytes, chunked: bool) -> bytes:
        """Return the whole header section for HTTP/1.1.

        Args:
            target: Path and query.
            chunked: Whether content of unknown length follows.
        """
        if self.content_length is not None:
            framing = b"content-length: %d\r\n\r\n" % self.content_length
        elif chunked:
            framing = b"transfer-encoding: chunked\r\n\r\n"
        elif self.method in ("POST", "PUT", "PATCH"):
            framing = b"content-length: 0\r\n\r\n"  # RFC 9110, 8.6
        else:
            framing = b"\r\n"
        lines = self._lines or self._joined()
        if self.trace:
            lines += b"".join([b"%b: %b\r\n" % pair for pair in self.trace])
        return b"%b %b HTTP/1.1\r\n%b%b" % (
            self.method.encode("ascii"),
            target,
            lines,
            framing,
        )

    def _joined(self) -> bytes:
        """Return the lines of all fields but those that frame the content."""
        lines = [b"%b: %b\r\n" % pair for pair in self.fields]
        if self.has_te:
            lines.append(b"connection: te\r\n")  # RFC 9110, 10.1.4
        self._lines = b"".join(lines)
        return self._lines


class RequestHeads:
    """The header sections for the requests of all clients.

    Args:
        options: What upstreams are told.
        identity: Names this proxy in CDN-Loop (RFC 8586); all its workers have the same.
    """

    def __init__(self, options: ProxyOptions, identity: str = "") -> None:
        self._options = options
        self._identity = identity
        self._known: dict[Any, _Known] = {}
        """By the client's address and port: its last request, and what became of it."""

    def of(self, scope: Scope) -> RequestHead:
        """Return `request_head` of the scope, made anew only if more than its target is new.

        Raises:
            LocalProtocolError: As `request_head`.
        """
        client = scope.get("client")
        known = self._known.get(client)
        if (
            known is not None
            and known.fields == scope["headers"]
            and known.method == scope["method"]
            and known.version == scope.get("http_version")
            and known.scheme == scope.get("scheme")
        ):
            return known.head
        head = request_head(scope, self._options, self._identity)
        head.framed(b"/", chunked=False)  # so that those with a trace have its lines
        self._known.pop(client, None)
        self._known[client] = _Known(
            list(scope["headers"]),
            scope["method"],
            scope.get("http_version"),
            scope.get("scheme"),
            head,
        )
        if len(self._known) > _MOST_REMEMBERED:
            del self._known[next(iter(self._known))]
        return head


@dataclass(frozen=True, slots=True)
class _Known:
    """A request and its header section."""

    fields: Fields
    method: str
    version: str | None
    scheme: str | None
    head: RequestHead


def request_head(scope: Scope, options: ProxyOptions, identity: str = "") -> RequestHead:
    """Return the header section for the request of `scope`.

    Raises:
        LocalProtocolError: An upstream would read a part of it as something else. `headstart serve`
            lets no such request in, but another ASGI server might.
    """
    fields: Fields = scope["headers"]
    single = dict(fields)
    # HTTP/1.0 needs no Host. The request goes on as HTTP/1.1, and many refuse an empty one.
    host = single.get(b"host") or b"localhost"
    version = scope.get("http_version", "1.1")
    length = single.get(b"content-length")
    client = scope.get("client")
    told: Fields = [
        (b"host", options.upstream_host.encode("ascii") or host),
        *passed_to_upstream(fields),
        *forwarded(
            fields,
            client[0] if client else "",
            scope.get("scheme", "http"),
            host,
            trusted=_trusted(scope, single),
        ),
    ]
    if options.via:
        told.append((b"via", _via(version, fields)))
    loop = _came_through(fields, b"cdn-loop")
    us = b"%b; id=%b" % (_PSEUDONYM, identity.encode("ascii"))
    told.append((b"cdn-loop", b", ".join([*loop, us])))
    has_te = single.get(b"te", b"").lower() == b"trailers"
    if has_te:
        told.append((b"te", b"trailers"))
    expects = single.get(b"expect", b"").lower() == b"100-continue"
    if expects:
        told.append((b"expect", b"100-continue"))
    max_forwards = _max_forwards(scope["method"], single)
    if max_forwards is not None:
        told.append((b"max-forwards", b"%d" % max(0, max_forwards - 1)))
    _check(scope["method"], told, length)
    return RequestHead(
        method=scope["method"],
        fields=told,
        has_te=has_te,
        content_length=int(length) if length is not None else None,
        expects_continue=expects,
        may_have_content=(
            not version.startswith("1") or length is not None or b"transfer-encoding" in single
        ),
        # Via can be left out, and some proxies remove what they do not know.
        hops=max(
            b"".join(values).count(_PSEUDONYM) for values in (loop, _came_through(fields, b"via"))
        ),
        returns=b"".join(loop).count(us),
        max_forwards=max_forwards,
    )


def _check(method: str, fields: Fields, length: bytes | None) -> None:
    if _UNSAFE.search(method.encode("ascii")):
        raise LocalProtocolError("The method of the request has white space in it")
    if _BREAKS.search(b"".join([part for pair in fields for part in pair])):
        raise LocalProtocolError("A field of the request has a line end in it")
    if length is not None and not length.isdigit():
        raise LocalProtocolError("The Content-Length of the request is not a number")


def _max_forwards(method: str, single: dict[bytes, bytes]) -> int | None:
    value = single.get(b"max-forwards")
    if value is None or method not in ("OPTIONS", "TRACE") or not value.isdigit():
        return None
    return int(value[:9])


def target_of(scope: Scope) -> bytes:
    """Return path and query as the client wrote them, without the mount's path in front.

    Raises:
        LocalProtocolError: An upstream would read more than a target.
    """
    # Without raw_path the path is decoded: a line end in it would split the request.
    target: bytes = scope.get("raw_path") or quote(scope["path"], _PATH_CHARACTERS).encode("ascii")
    root: str = scope.get("root_path", "")
    if root:
        prefix = root.encode("utf-8").rstrip(b"/")
        if prefix and target.startswith(prefix):
            target = target[len(prefix) :] or b"/"
    target += query_part(scope)
    if _UNSAFE.search(target):
        raise LocalProtocolError("The target of the request has white space in it")
    return target


def _trusted(scope: Scope, single: dict[bytes, bytes]) -> bool:
    # uvicorn takes the client's address from a trusted proxy's field, mostly without a port; no
    # client of TCP has port 0.
    client = scope.get("client")
    return b"x-forwarded-for" in single and (not client or client[1] == 0)


def _via(version: str, fields: Fields) -> bytes:
    """Return the value of Via: those before us, then us (RFC 9110, 7.6.3)."""
    us = b"%b %b" % (_VERSIONS.get(version, b"1.1"), _PSEUDONYM)
    return b", ".join([*_came_through(fields, b"via"), us])


def _came_through(fields: Fields, name: bytes) -> list[bytes]:
    """Return the values of a field to which each proxy adds itself."""
    return [value for other, value in fields if other == name]
