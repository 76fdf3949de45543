"""Check requests, responses and fields, in both directions.

The engine (nghttp2) checks incoming field names and values, duplicate and missing pseudo-header
fields, and connection-specific fields. It does not check outgoing ones, and it accepts messages
that this module refuses: see the table in docs/architecture.md. Pure functions; called by
`wire.server` and `wire.client` for every message, so the common case is short.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from headstart.config import WireLimits
from headstart.errors import LocalProtocolError
from headstart.reasons import Refusal
from headstart.wire.events import Fields, RequestReceived, RequestRefused

# RFC 9110, 9.1: methods are case-sensitive tokens; all registered ones are upper case. CONNECT
# needs a tunnel (RFC 9113, 8.5); for the one that there is, see `wire.requests`.
_METHOD = re.compile(r"(?!CONNECT\Z)[A-Z][A-Z0-9_-]*")
# RFC 9113, 8.3.1: no userinfo, hence no "@"; RFC 3986, 3.2 allows a comma in a reg-name, but
# proxies read it as two hosts. Brackets hold an IPv6 address, with a zone (RFC 6874) or without.
_AUTHORITY = re.compile(
    rb"(?:\[[0-9A-Fa-f:.]+(?:%[A-Za-z0-9._~%-]+)?\]|[A-Za-z0-9._~%!$&'()*+;=-]+)(?::[0-9]*)?"
)
# RFC 9112, 3.2.1 and 3.2.4: absolute path and query without fragment, or "*" for OPTIONS.
_TARGET = re.compile(rb"/[!-\"$-~]*")
# RFC 9112, 3.2.2: scheme, authority, then path and query.
_ABSOLUTE = re.compile(rb"(?i:https?)://([^/?#]*)(.*)", re.DOTALL)
# RFC 9110, 5.1 and 5.6.2; RFC 9113, 8.2.1 wants lower case.
_NAME = re.compile(rb"[a-z0-9!#$%&'*+.^_`|~-]+")
# RFC 9113, 8.2.1: no NUL, CR, LF; RFC 9110, 5.5: no other controls.
_VISIBLE = bytes(octet for octet in range(0x21, 0x100) if octet != 0x7F)
_BAD_VALUE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
# RFC 9110, 5.5: no part of a value; RFC 9113, 8.2.1 forbids it at the ends.
_WHITE_SPACE = b" \t"

_KNOWN_METHODS = {
    name.encode(): name
    for name in ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE")
}
# RFC 9113, 8.2.2. An application written for HTTP/1.1 may still set them (server-sent events with
# `Connection: keep-alive` are common), so they are dropped rather than refused, as uvicorn does.
_CONNECTION_SPECIFIC = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"}
)
_METHOD_NAMES = frozenset(_KNOWN_METHODS.values())
# With so many octets at most, the thousand targets that are remembered stay small.
REMEMBERED_LENGTH: Final = 256
_SCHEMES = frozenset({b"https", b"http"})
_DEFAULT_PORTS: Final = {b"http": b":80", b"https": b":443"}
# An underscore for the dash of these would shadow the real field in a CGI or WSGI environment.
_SHADOWS = frozenset({b"content_length", b"transfer_encoding", b"content_type"})
_NEED_A_LOOK = frozenset({b"host", b"cookie"}) | _SHADOWS
# curl 7.88 waits for ever where a header section is larger than about 104 KB, and clients made with
# nghttp2 end the connection behind eight CONTINUATION frames, of 16 KiB each (CVE-2024-28182).
LARGEST_SECTION: Final = 100 * 1024
# RFC 9110, 15: HTTP defines none above 599, but sites send some, as LinkedIn its 999 to programs.
# Browsers, curl, nginx and Caddy take and pass all that have three digits.
HIGHEST_STATUS: Final = 999
_STATUS = {code: str(code).encode() for code in range(100, HIGHEST_STATUS + 1)}

_names: dict[bytes, bytes | None] = {}
"""Names seen on responses -> the name to send, None to drop it. Bounded by `_MAX_NAMES`."""
_MAX_NAMES = 1024
_authorities: set[bytes] = set()
"""Well-formed authorities seen on requests. Bounded by `_MAX_NAMES`."""
# A domain name's limit (RFC 1035, 2.3.4), and a port.
_MAX_AUTHORITY = 255 + 6
# RFC 7541, 4.1: the size of an entry is its octets plus 32.
_ENTRY_OVERHEAD = 32
# What a crumb has beside its octets and the "; " that joins it to the others.
_CRUMB_OVERHEAD = len(b"cookie") + _ENTRY_OVERHEAD - len(b"; ")


def read_request(
    stream_id: int,
    headers: tuple[tuple[bytes, bytes], ...],
    end_stream: bool,
    limits: WireLimits,
) -> RequestReceived | RequestRefused:
    """Check and reshape the header section of a request (RFC 9113, 8.3.1).

    Args:
        stream_id: For the answer.
        headers: As the engine gives them: pseudo-header fields first, none twice, `:method`,
            `:scheme` and `:path` there unless it is a CONNECT, names lower case.
        end_stream: For the answer.
        limits: How many and how large fields may be.
    """
    first = 4 if len(headers) > 3 and headers[3][0].startswith(b":") else 3
    pseudo = dict(headers[:first])
    target = pseudo.get(b":path", b"")
    method = _KNOWN_METHODS.get(pseudo[b":method"]) or pseudo[b":method"].decode("latin-1")
    if (
        len(headers) - first > limits.max_header_count
        or len(target) > limits.max_target_size
        or header_list_size(headers) > limits.max_header_size
    ):
        too_large = _too_large(stream_id, headers, first, target, limits)
        if too_large is not None:
            return too_large
    if (
        method not in _METHOD_NAMES
        or pseudo.get(b":scheme") not in _SCHEMES
        or not _TARGET.fullmatch(target)
    ):
        malformed = _malformed(method, pseudo.get(b":scheme", b""), target)
        if malformed is not None:
            return RequestRefused(stream_id, 400, malformed)
    authority = pseudo.get(b":authority", b"")
    fields = list(headers[first:])
    request = RequestReceived(stream_id, method, target, authority, fields, end_stream)
    for name, _ in fields:
        if name in _NEED_A_LOOK:
            refused = _unite(request, pseudo[b":scheme"])
            if refused is not None:
                return refused
            break
    if request.authority not in _authorities and not _learn_authority(request.authority):
        return RequestRefused(stream_id, 400, "malformed or missing authority")
    request.headers.insert(0, (b"host", request.authority))
    return request


def header_list_size(headers: Iterable[tuple[bytes, bytes]]) -> int:
    """Octets of a header section as SETTINGS_MAX_HEADER_LIST_SIZE counts them (RFC 9113, 6.5.2)."""
    return sum([len(name) + len(value) + _ENTRY_OVERHEAD for name, value in headers])


def request_size(headers: Iterable[tuple[bytes, bytes]]) -> int:
    """As `header_list_size`, cookie crumbs joined to the one field that they are parts of."""
    crumbs, size = 0, 0
    for name, value in headers:
        size += len(name) + len(value) + _ENTRY_OVERHEAD
        crumbs += name == b"cookie"
    return size - max(0, crumbs - 1) * _CRUMB_OVERHEAD


def _too_large(
    stream_id: int,
    headers: tuple[tuple[bytes, bytes], ...],
    first: int,
    target: bytes,
    limits: WireLimits,
) -> RequestRefused | None:
    """Return the part that is too large; None if only browsers' crumbs count (RFC 9113, 8.2.3)."""
    crumbs = sum(name == b"cookie" for name, _ in headers)
    if len(headers) - first - max(0, crumbs - 1) > limits.max_header_count:
        return RequestRefused(stream_id, 431, "too many fields")
    if len(target) > limits.max_target_size:
        return RequestRefused(stream_id, 414, "target too long")
    if request_size(headers) > limits.max_header_size:
        return RequestRefused(stream_id, 431, "fields too large")
    return None


def _malformed(method: str, scheme: bytes, target: bytes) -> str | None:
    if method == "CONNECT":
        return "CONNECT is not supported"
    if scheme not in _SCHEMES:
        return "scheme is neither http nor https"
    if not _TARGET.fullmatch(target) and not (target == b"*" and method == "OPTIONS"):
        return "malformed path"
    if method not in _METHOD_NAMES and not _METHOD.fullmatch(method):
        return "malformed method"
    return None


def _unite(request: RequestReceived, scheme: bytes) -> RequestRefused | None:
    """Join cookie crumbs, take Host for `:authority`, and refuse a contradicting one."""
    fields, stream_id = request.headers, request.stream_id
    hosts = [value for name, value in fields if name == b"host"]
    if len(hosts) > 1 or (
        hosts
        and request.authority
        and hosts[0] != request.authority
        and _normalized(hosts[0], scheme) != _normalized(request.authority, scheme)
    ):
        return RequestRefused(stream_id, 400, "Host contradicts :authority")
    if hosts and not request.authority:
        request.authority = hosts[0]
    if any(name in _SHADOWS for name, _ in fields):
        return RequestRefused(stream_id, 400, "a field that shadows another")
    crumbs = [value for name, value in fields if name == b"cookie"]
    request.headers = [pair for pair in fields if pair[0] not in (b"host", b"cookie")]
    if crumbs:
        request.headers.append((b"cookie", b"; ".join(crumbs)))
    return None


def _normalized(authority: bytes, scheme: bytes) -> bytes:
    """Return an authority to compare: lower case, without the default port (RFC 3986, 6.2.2.1,
    6.2.3).
    """
    lower = authority.lower()
    return lower.removesuffix(_DEFAULT_PORTS[scheme]).removesuffix(b":")


def split_absolute(target: bytes, method: bytes) -> tuple[bytes, bytes] | None:
    """Return authority and path with query of a target in absolute-form (RFC 9112, 3.2.2).

    Both still have to be checked. None if the target has another form.
    """
    found = _ABSOLUTE.fullmatch(target)
    if found is None:
        return None
    authority, path = found.groups()
    if not path and method == b"OPTIONS":
        return authority, b"*"  # RFC 9112, 3.2.4
    return authority, path if path.startswith(b"/") else b"/" + path


def _learn_authority(authority: bytes) -> bool:
    """Return true if the authority is well-formed, and remember it; a server has few of them."""
    if not _AUTHORITY.fullmatch(authority):
        return False
    if len(authority) <= _MAX_AUTHORITY:
        if len(_authorities) >= _MAX_NAMES:
            _authorities.clear()
        _authorities.add(authority)
    return True


# Fields of the server that an application may set itself.
_REPLACED = frozenset({b"date", b"server"})


def response_fields(
    status: object, headers: Iterable[Iterable[bytes]], defaults: Iterable[tuple[bytes, bytes]] = ()
) -> Fields:
    """Return the header section of a final response: `:status`, the defaults, and checked fields.

    Connection-specific fields are dropped: they mean nothing in HTTP/2 (RFC 9113, 8.2.2).

    Args:
        headers: From the application; names in any case.
        defaults: Known to be well-formed, put first.

    Raises:
        LocalProtocolError: The status is not a final one, or a field could not be sent, or all of
            them are larger than clients take.
    """
    # http.HTTPStatus is an int too.
    if not isinstance(status, int) or not 200 <= status <= HIGHEST_STATUS:
        raise LocalProtocolError(f"the status of a response is 200 to 999, not {status!r}")
    own = checked_fields(headers, [])
    fields = [(b":status", _STATUS[status]), *unreplaced(defaults, own), *own]
    if header_list_size(fields) > LARGEST_SECTION:
        raise LocalProtocolError(
            f"the fields of the response take {header_list_size(fields):,} bytes, and clients of"
            f" HTTP/2 take {LARGEST_SECTION:,} at most"
        )
    return fields


def unreplaced(defaults: Iterable[tuple[bytes, bytes]], own: Fields) -> Fields:
    """Return the defaults without a Date or Server that the application sets itself.

    There is one of each at most (RFC 9110, 6.6.1 and 10.2.4): nginx and aiohttp refuse responses
    with two.

    Args:
        own: The application's fields, names in lower case.
    """
    replaced = [name for name, _ in own if name in _REPLACED]
    return [pair for pair in defaults if pair[0] not in replaced]


def informational_fields(status: int, headers: Iterable[Iterable[bytes]]) -> Fields:
    """Return the header section of an informational response (RFC 9110, 15.2).

    Raises:
        LocalProtocolError: The status is not 1xx, or is 101 (RFC 9113, 8.6), or a field could not
            be sent.
    """
    if not 100 <= status <= 199 or status == 101:
        raise LocalProtocolError(f"{status} is not an informational status of HTTP/2")
    return checked_fields(headers, [(b":status", _STATUS[status])])


def checked_fields(headers: Iterable[Iterable[bytes]], fields: Fields) -> Fields:
    """Append `headers` to `fields` with lower-case names, without connection-specific ones.

    White space at the ends of a value is stripped, as recipients do over HTTP/1.1.

    Raises:
        LocalProtocolError: A name is not a token, or a value has CR, LF, NUL or another control
            character (RFC 9113, 8.2.1).
    """
    for name, value in headers:
        try:
            sent_name = _names[name]
        except KeyError:
            sent_name = _learn_name(name)
        # Most values are visible characters throughout, which `translate` finds out in half the
        # time of an expression.
        if type(value) is bytes and not value.translate(None, _VISIBLE):
            sent_value = value
        else:
            sent_value = checked_value(name, value)
        if sent_name is not None:
            fields.append((sent_name, sent_value))
    return fields


def checked_value(name: bytes, value: bytes) -> bytes:
    """Return a field's value without the white space around it.

    Raises:
        LocalProtocolError: It has a control character.
    """
    if _BAD_VALUE.search(value):
        raise LocalProtocolError(
            f"the value of field {name!r} has a character that HTTP forbids",
            hint="Leave out line feeds and other control characters, or percent-encode them.",
        )
    # The engine takes nothing but bytes, and says so too late for a 500.
    return bytes(value).strip(_WHITE_SPACE)


def checked_name(name: bytes) -> bytes:
    """Return a field's name in lower case.

    Raises:
        LocalProtocolError: It is empty or not a token (RFC 9110, 5.1).
    """
    lower = bytes(name).lower()
    if not _NAME.fullmatch(lower):
        raise LocalProtocolError(
            f"{name!r} is not a valid header name", hint="Write it with letters, digits and '-'."
        )
    return lower


def _learn_name(name: bytes) -> bytes | None:
    lower = checked_name(name)
    if len(_names) >= _MAX_NAMES:
        _names.clear()
    sent = None if lower in _CONNECTION_SPECIFIC else lower
    _names[name] = sent
    return sent


# Fields that a promised request never carries: it has no condition, no content and no range, and
# waits for nothing (RFC 9113, 8.4; the practice of Servlet 4, h2o and mod_http2).
_NEVER_PROMISED = frozenset({b"range", b"expect", b"host", b"te", b"trailer", b"max-forwards"})
_CREDENTIALS = frozenset({b"authorization", b"cookie", b"proxy-authorization"})


def promisable(name: bytes) -> bool:
    """Return true if a promised request may carry the field; credentials are checked elsewhere."""
    return not (
        name in _NEVER_PROMISED
        or name in _CONNECTION_SPECIFIC
        or name.startswith((b"if-", b"content-", b":"))
    )


def promise_refusal(method: str, headers: Fields, credentials: bool) -> Refusal | None:
    """Why a promised request may not be sent, judged by its method and fields alone.

    Args:
        headers: Already through `checked_fields`.
        credentials: The application asked for this push itself, so that its own user's
            credentials may go with it.
    """
    if method not in ("GET", "HEAD"):
        return Refusal.METHOD
    for name, _ in headers:
        if not promisable(name):
            return Refusal.FORBIDDEN_FIELD
        if name in _CREDENTIALS and not credentials:
            return Refusal.CREDENTIALS
    return None


def valid_target(target: bytes) -> bool:
    """Return true if `target` is an absolute path of printable ASCII without a fragment."""
    return _TARGET.fullmatch(target) is not None


@lru_cache(1024)
def known_target(target: bytes) -> bool:
    """As `valid_target`, remembered: for targets of `REMEMBERED_LENGTH` at most."""
    return valid_target(target)


def valid_authority(authority: bytes) -> bool:
    """Return true if `authority` is a host with an optional port, and nothing else."""
    return _AUTHORITY.fullmatch(authority) is not None
