"""Read a page's request once for the decision: the client's capabilities and its cached assets.

Reads an ASGI scope and changes nothing. Called by the middleware for each request that may be a
page; `decide` reads the result.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from headstart.deliver.asgi import Scope, headstart_extension
from headstart.deliver.digest import parse
from headstart.deliver.seen import COOKIE_NAME, Memory, Seen, read_cookie
from headstart.reasons import Refusal

# RFC 9110, 13.1: each of them names a copy that the client has.
_CONDITIONS = frozenset(
    {b"if-none-match", b"if-modified-since", b"if-match", b"if-unmodified-since", b"if-range"}
)
# Of several lines the last counts. Accept alone is a list, and clients send one line of it.
_SINGLE = frozenset(
    {
        b"host",
        b"sec-fetch-mode",
        b"sec-fetch-dest",
        b"sec-fetch-site",
        b"sec-purpose",
        b"purpose",
        b"accept",
        b"save-data",
        b"user-agent",
        b"te",
        b"content-type",
    }
)
_LISTS = {b"cache-digest": b", ", b"cookie": b"; "}
READ_FIELDS = _CONDITIONS | _SINGLE | frozenset(_LISTS)
"""The fields that are read; `cache.requests.KNOWN_FIELDS` has those that a page may come with."""
_MARKS = frozenset({b"sec-fetch-mode", b"sec-fetch-dest", b"sec-fetch-site"})
_HTML = b"text/html"
# The begin of the Accept of Java's HttpURLConnection. It speaks HTTP/1.1 alone and takes a 103 that
# a proxy passes on for the response (JDK-8170305).
_JAVA = b"text/html, image/gif"
# Only h2corn (2.0) has this. It takes a 103 when the response has started and no sooner, as ASGI's
# text says it, and ends the request with 500 where one comes before; later, Link says the same.
_LATE_HINTS = "http.response.zerocopysend"
# Chromium follows a 103 for the page of a tab alone; a frame's document gets the same by Link.
_HINTED_DOCUMENTS = frozenset({b"", b"document"})
# Fetch, 2.2.5: what a document is loaded into. Anything else reads the page as data.
_DOCUMENTS = frozenset({b"document", b"iframe", b"frame", b"fencedframe", b"embed", b"object"})


@dataclass(slots=True)
class PageRequest:
    """The parts of a request that the decision needs.

    Attributes:
        method: As sent.
        http_version: As ASGI says it: "1.0", "1.1", "2" or "3".
        origin: Scheme and authority, `https://example.com`.
        secure: Whether the scheme is https.
        conditional: It has a condition, so the client has a copy of the page.
        loads_assets: Nothing shows that the client reads the page without its assets.
        save_data: It says `Save-Data: on`.
        pushed: The request is one that was pushed itself.
        push_refusal: Why it takes no push, None where it does.
        hint_refusal: Why it takes no 103 over HTTP/2, None where it does.
        ignores_nonce: A 103 fills its cache despite the page's policy. Others fetch twice
            an asset that a 103 names and the page loads with a nonce.
        cache_digest: Its `Cache-Digest`, or b"".
        cookies: Its `Cookie`, or b"".
    """

    method: str = "GET"
    http_version: str = "2"
    origin: str = ""
    secure: bool = True
    conditional: bool = False
    loads_assets: bool = True
    save_data: bool = False
    pushed: bool = False
    push_refusal: Refusal | None = None
    hint_refusal: Refusal | None = None
    ignores_nonce: bool = False
    cache_digest: bytes = b""
    cookies: bytes = b""

    def seen(self, memory: Memory, now: float, *, cookie: str = COOKIE_NAME) -> Seen:
        """Return the assets that its client has.

        Args:
            memory: Of its connection.
            now: Seconds since 1970.
            cookie: Name of our cookie, "" if it is off.
        """
        digests = parse(self.cache_digest)
        client_set = read_cookie(self.cookies, now, name=cookie) if cookie else None
        return Seen(memory, self.origin, digests, client_set)


def read_request(scope: Scope, *, hint_unmarked: bool = False) -> PageRequest:
    """Read an HTTP scope.

    Args:
        hint_unmarked: A 103 may go to all clients that send no Sec-Fetch-*.
    """
    fields = _fields(scope)
    scheme = scope.get("scheme") or "http"
    extensions = scope.get("extensions") or {}
    hints = "http.response.early_hint" in extensions and _LATE_HINTS not in extensions
    ours = headstart_extension(scope)
    return PageRequest(
        method=scope["method"],
        http_version=scope.get("http_version") or "1.1",
        origin=f"{scheme}://{fields.get(b'host', b'').decode('latin-1')}",
        secure=scheme == "https",
        conditional=not _CONDITIONS.isdisjoint(fields),
        loads_assets=_loads_assets(fields),
        save_data=fields.get(b"save-data", b"").strip().lower() == b"on",
        pushed=ours is not None and bool(ours["pushed"]),
        push_refusal=_push_refusal("http.response.push" in extensions, ours is not None, fields),
        hint_refusal=_hint_refusal(hints, ours is not None, fields, hint_unmarked),
        ignores_nonce=b"Chrome/" in fields.get(b"user-agent", b""),
        cache_digest=fields.get(b"cache-digest", b""),
        cookies=fields.get(b"cookie", b""),
    )


def _fields(scope: Scope) -> dict[bytes, bytes]:
    fields: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        if name in READ_FIELDS:
            separator = _LISTS.get(name)
            known = fields.get(name) if separator else None
            fields[name] = value if known is None else b"".join((known, separator or b"", value))
    return fields


def _loads_assets(fields: dict[bytes, bytes]) -> bool:
    destination = fields.get(b"sec-fetch-dest")
    if destination is not None and destination not in _DOCUMENTS:
        return False
    purpose = fields.get(b"sec-purpose") or fields.get(b"purpose")
    return not is_prefetch(purpose)


def is_prefetch(purpose: bytes | None) -> bool:
    """Return whether Sec-Purpose, or Purpose, says that the page stays unread for now.

    A prerendered page (`prefetch;prerender`) is loaded with its assets.
    """
    return purpose is not None and b"prefetch" in purpose and b"prerender" not in purpose


def _push_refusal(offered: bool, ours: bool, fields: dict[bytes, bytes]) -> Refusal | None:
    if offered:
        # Others offer it whatever the client's ENABLE_PUSH is (hypercorn 0.18 drops such a push and
        # says nothing), and who sends Sec-Fetch-* is a browser, and takes none.
        return None if ours or b"sec-fetch-mode" not in fields else Refusal.PUSH_DISABLED
    return Refusal.PUSH_DISABLED if ours else Refusal.UNSUPPORTED


def is_grpc(fields: Mapping[bytes, bytes]) -> bool:
    """Return whether a client of gRPC may have made the request: it expects no 103.

    Firefox asks with `te: trailers`, too; but its requests say that they are navigations.

    Args:
        fields: The request's, names in lower case.
    """
    if fields.get(b"content-type", b"").startswith(b"application/grpc"):
        return True
    return fields.get(b"te", b"").lower() == b"trailers" and not is_marked_navigation(fields)


def is_marked_navigation(fields: Mapping[bytes, bytes]) -> bool:
    """Return whether the request says that it is a navigation (Fetch Metadata, 2.3).

    Args:
        fields: The request's, names in lower case.
    """
    return fields.get(b"sec-fetch-mode") == b"navigate"


def is_navigation(fields: Mapping[bytes, bytes], *, any_unmarked: bool = False) -> bool:
    """Return whether a request for a page is a navigation, as far as its fields tell.

    Browsers without Sec-Fetch-* (Safari before 16.4, Chromium and Firefox some years before) are
    known by the Accept that they send with navigations alone: it begins with HTML (Fetch, 'document
    `Accept` header value'). That of programs is `*/*`, but for Java's HttpURLConnection.

    Args:
        fields: The request's, names in lower case.
        any_unmarked: Every request without Sec-Fetch-* counts.
    """
    if not _MARKS.isdisjoint(fields):
        return is_marked_navigation(fields)
    accept = fields.get(b"accept", b"").lower()
    return any_unmarked or (accept.startswith(_HTML) and not accept.startswith(_JAVA))


def _hint_refusal(
    offered: bool, ours: bool, fields: dict[bytes, bytes], hint_unmarked: bool
) -> Refusal | None:
    if not offered:
        return Refusal.NOT_NAVIGATION if ours else Refusal.UNSUPPORTED
    destination = fields.get(b"sec-fetch-dest", b"")
    if is_grpc(fields):
        return Refusal.TAKES_NO_HINTS
    if destination not in _HINTED_DOCUMENTS or _is_webkit(fields.get(b"user-agent", b"")):
        return Refusal.TAKES_NO_HINTS
    navigation = is_navigation(fields, any_unmarked=hint_unmarked)
    return None if navigation else Refusal.NOT_NAVIGATION


@lru_cache(maxsize=256)
def _is_webkit(user_agent: bytes) -> bool:
    """Return whether this is Safari's engine, as in all browsers of iOS. Chromium names both.

    It takes no preloads from a 103, and does from a Link field.
    """
    return b"AppleWebKit/" in user_agent and b"Chrome/" not in user_agent
