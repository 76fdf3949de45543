"""A page's request, read once for the decision: what the client takes, and what it says it has.

Reads an ASGI scope and changes nothing. Called by the middleware for each request that may be a
page; `decide` reads the result.
"""

from __future__ import annotations

from dataclasses import dataclass

from headstart.deliver.asgi import Scope
from headstart.deliver.digest import parse
from headstart.deliver.seen import COOKIE_NAME, Memory, Seen, read_cookie
from headstart.reasons import Refusal

# RFC 9110, 13.1: each of them names a copy that the client has.
_CONDITIONS = frozenset(
    {b"if-none-match", b"if-modified-since", b"if-match", b"if-unmodified-since", b"if-range"}
)
_SINGLE = frozenset(
    {b"host", b"sec-fetch-mode", b"sec-fetch-dest", b"sec-fetch-site", b"sec-purpose", b"purpose"}
)
_LISTS = {b"cache-digest": b", ", b"cookie": b"; "}
_READ = _CONDITIONS | _SINGLE | frozenset(_LISTS)
# Only h2corn (2.0) has this. It takes a 103 when the response has started and no sooner, as ASGI's
# text says it, and ends the request with 500 where one comes before; later, Link says the same.
_LATE_HINTS = "http.response.zerocopysend"
# Fetch, 2.2.5: what a document is loaded into. Anything else reads the page as data.
_DOCUMENTS = frozenset({b"document", b"iframe", b"frame", b"fencedframe", b"embed", b"object"})


@dataclass(frozen=True, slots=True)
class PageRequest:
    """What the decision needs of a request.

    Attributes:
        method: As sent.
        http_version: As ASGI says it: "1.0", "1.1", "2" or "3".
        origin: Scheme and authority, `https://example.com`.
        secure: Whether the scheme is https.
        conditional: It has a condition, so the client has a copy of the page.
        loads_assets: Nothing says that the client reads the page without its assets.
        pushed: The request is one that was pushed itself.
        push_refusal: Why it takes no push, None where it does.
        hint_refusal: Why it takes no 103 over HTTP/2, None where it does.
        cache_digest: Its `Cache-Digest`, or b"".
        cookies: Its `Cookie`, or b"".
    """

    method: str = "GET"
    http_version: str = "2"
    origin: str = ""
    secure: bool = True
    conditional: bool = False
    loads_assets: bool = True
    pushed: bool = False
    push_refusal: Refusal | None = None
    hint_refusal: Refusal | None = None
    cache_digest: bytes = b""
    cookies: bytes = b""

    def seen(self, memory: Memory, now: float, *, cookie: str = COOKIE_NAME) -> Seen:
        """What its client has.

        Args:
            memory: Of its connection.
            now: Seconds since 1970.
            cookie: Name of our cookie, "" where there is to be none.
        """
        digests = parse(self.cache_digest)
        client_set = read_cookie(self.cookies, now, name=cookie) if cookie else None
        return Seen(memory, self.origin, digests, client_set)


def read_request(scope: Scope, *, hint_unmarked: bool = True) -> PageRequest:
    """Read an HTTP scope.

    Args:
        hint_unmarked: A 103 may go also to clients that send no Sec-Fetch-* at all.
    """
    fields = _fields(scope)
    scheme = scope.get("scheme") or "http"
    extensions = scope.get("extensions") or {}
    hints = "http.response.early_hint" in extensions and _LATE_HINTS not in extensions
    ours = extensions.get("headstart")
    return PageRequest(
        method=scope["method"],
        http_version=scope.get("http_version") or "1.1",
        origin=f"{scheme}://{fields.get(b'host', b'').decode('latin-1')}",
        secure=scheme == "https",
        conditional=not _CONDITIONS.isdisjoint(fields),
        loads_assets=_loads_assets(fields),
        pushed=ours is not None and bool(ours["pushed"]),
        push_refusal=_push_refusal("http.response.push" in extensions, ours is not None, fields),
        hint_refusal=_hint_refusal(hints, ours is not None, fields, hint_unmarked),
        cache_digest=fields.get(b"cache-digest", b""),
        cookies=fields.get(b"cookie", b""),
    )


def _fields(scope: Scope) -> dict[bytes, bytes]:
    fields: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        if name in _READ:
            separator = _LISTS.get(name)
            known = fields.get(name) if separator else None
            fields[name] = value if known is None else b"".join((known, separator or b"", value))
    return fields


def _loads_assets(fields: dict[bytes, bytes]) -> bool:
    destination = fields.get(b"sec-fetch-dest")
    if destination is not None and destination not in _DOCUMENTS:
        return False
    purpose = fields.get(b"sec-purpose") or fields.get(b"purpose") or b""
    # A prefetched page stays unread; a prerendered one ("prefetch;prerender") is loaded whole.
    return b"prefetch" not in purpose or b"prerender" in purpose


def _push_refusal(offered: bool, ours: bool, fields: dict[bytes, bytes]) -> Refusal | None:
    if offered:
        # Others offer it whatever the client's ENABLE_PUSH is (hypercorn 0.18 drops such a push and
        # says nothing), and who sends Sec-Fetch-* is a browser, and takes none.
        return None if ours or b"sec-fetch-mode" not in fields else Refusal.PUSH_DISABLED
    return Refusal.PUSH_DISABLED if ours else Refusal.UNSUPPORTED


def _hint_refusal(
    offered: bool, ours: bool, fields: dict[bytes, bytes], hint_unmarked: bool
) -> Refusal | None:
    if not offered:
        return Refusal.NOT_NAVIGATION if ours else Refusal.UNSUPPORTED
    mode = fields.get(b"sec-fetch-mode")
    if mode == b"navigate":
        return None
    marked = mode or b"sec-fetch-dest" in fields or b"sec-fetch-site" in fields
    return Refusal.NOT_NAVIGATION if marked or not hint_unmarked else None
