"""Send the pushes that an application asks for: Servlet 4's PushBuilder for ASGI.

Makes `http.response.push` messages; the server decides (`wire.server.promise`) and fills in the
`Push`. As in Servlet 4, h2o and mod_http2, a pushed request carries those headers of the page's
request that describe the client's capabilities and its identity.
"""

from __future__ import annotations

from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from typing import Any, Self
from urllib.parse import quote, urljoin, urlsplit

from headstart.deliver.asgi import (
    Message,
    Receive,
    RequestLike,
    Send,
    header,
    headstart_extension,
    offers,
)
from headstart.deliver.asgi import send_channel as _send_channel
from headstart.deliver.outcome import Push
from headstart.errors import LocalProtocolError
from headstart.reasons import Refusal

_CARRIED = frozenset(
    {
        b"accept",
        b"accept-charset",
        b"accept-encoding",
        b"accept-language",
        b"authorization",
        b"cookie",
        b"user-agent",
    }
)
_NEVER = ("if-", "content-")
_NEVER_NAMES = frozenset(
    {"range", "expect", "host", "te", "trailer", "connection", "keep-alive", "upgrade"}
    | {"transfer-encoding", "proxy-connection", "max-forwards"}
)
# RFC 3986, 3.3: what may stand in a path.
_PATH_SAFE = "/:@!$&'()*+,;=-._~"


class PushBuilder:
    """Builds requests to be pushed along with the current one.

    Every setter returns the builder. After `push` the builder can be used again: its path is
    cleared, all else stays (Servlet 4, `PushBuilder.push`).

    ```python
    builder = PushBuilder(scope, receive, send)
    await builder.path("style.css").push()
    ```

    Args:
        scope: Of the page's request. `receive` and `send` likewise.
    """

    def __init__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        self._scope = scope
        self._send = send
        self._method = "GET"
        self._path = ""
        self._query = ""
        self._headers = [(n, v) for n, v in scope["headers"] if n in _CARRIED]
        referer = _page_url(scope)
        if referer:
            self._headers.append((b"referer", referer))

    def method(self, method: str) -> Self:
        """Set the method: GET (the default) or HEAD, which are safe, cacheable and without content.

        Raises:
            LocalProtocolError: Another method (RFC 9113, 8.4).
        """
        if method not in ("GET", "HEAD"):
            raise LocalProtocolError(
                f"{method!r} cannot be pushed", hint="a push is a GET or a HEAD."
            )
        self._method = method
        return self

    def path(self, path: str) -> Self:
        """Set the path, perhaps with a query; a relative one is taken from the page's own."""
        self._path = path
        return self

    def query_string(self, query: str) -> Self:
        """Set a query to append to the path's own; duplicates are kept."""
        self._query = query.removeprefix("?")
        return self

    def set_header(self, name: str, value: str) -> Self:
        """Set a field, in place of those of the same name."""
        return self.remove_header(name).add_header(name, value)

    def add_header(self, name: str, value: str) -> Self:
        """Add a field.

        Raises:
            LocalProtocolError: A pushed request must not have this field, or it is not Latin-1.
        """
        lower = name.lower()
        if lower in _NEVER_NAMES or lower.startswith(_NEVER):
            raise LocalProtocolError(
                f"a pushed request carries no {name}",
                hint="a push is an unconditional request without content (RFC 9113, 8.4).",
            )
        self._headers.append((_octets(lower), _octets(value)))
        return self

    def remove_header(self, name: str) -> Self:
        """Remove all fields of that name."""
        lower = _octets(name.lower())
        self._headers = [pair for pair in self._headers if pair[0] != lower]
        return self

    def session(self, value: str, *, cookie: str = "session") -> Self:
        """Set the session that the pushed request belongs to, as a cookie.

        For a page that has just begun or changed its session: the client's own cookie is still the
        old one.

        Args:
            cookie: The cookie's name; `session` is Starlette's and Flask's.

        Raises:
            LocalProtocolError: Name or value cannot stand in a cookie.
        """
        old = b"; ".join(v for n, v in self._headers if n == b"cookie").decode("latin-1")
        crumbs = [c.strip() for c in old.split(";") if c.strip()]
        crumbs = [c for c in crumbs if c.partition("=")[0] != cookie]
        try:
            SimpleCookie()[cookie] = value
        except CookieError as error:
            raise LocalProtocolError(f"{cookie!r} is not a valid cookie name") from error
        if any(ord(c) <= 32 or ord(c) >= 127 or c in ';,"\\' for c in value):
            raise LocalProtocolError("a cookie's value has no spaces, commas or semicolons")
        return self.set_header("cookie", "; ".join([*crumbs, f"{cookie}={value}"]))

    async def push(self) -> Push:
        """Push the resource, and clear the path.

        Returns:
            The push: false if it was not sent, and then `refusal` says why.

        Raises:
            LocalProtocolError: The path is missing, or it leads to another host.
        """
        if not self._path:
            raise LocalProtocolError("nothing to push", hint="call path() before each push().")
        push = Push(self._target())
        self._path = ""
        if not offers(self._scope, "http.response.push"):
            push.refuse(self._why_not())
            return push
        message: Message = {
            "type": "http.response.push",
            "path": push.path,
            "headers": list(self._headers),
        }
        if headstart_extension(self._scope) is not None:
            message.update(method=self._method, headstart=push)
            await self._send(message)
        elif self._method == "GET":
            await self._send(message)
            push.mark_sent(0)
        else:
            push.refuse(Refusal.UNSUPPORTED)
        return push

    def _target(self) -> str:
        scheme = self._scope["scheme"]
        # With a host, since without one ".." would climb above the root (RFC 3986, 5.2.4).
        host = (header(self._scope, b"host") or b"localhost").decode("latin-1")
        try:
            url = urlsplit(urljoin(f"{scheme}://{host}{_page_path(self._scope)}", self._path))
        except ValueError as error:  # brackets that hold no IPv6 address
            raise LocalProtocolError(f"{self._path!r} is not a valid path: {error}") from error
        if (url.scheme, url.netloc) != (scheme, host):
            raise LocalProtocolError(
                f"{self._path!r} leads to another host",
                hint="push only what this server answers for (RFC 9113, 8.4).",
            )
        query = "&".join(part for part in (url.query, self._query) if part)
        return (url.path or "/") + ("?" + query if query else "")

    def _why_not(self) -> Refusal:
        ours = headstart_extension(self._scope)
        if ours is None:
            return Refusal.UNSUPPORTED
        return Refusal.PUSHED_PARENT if ours["pushed"] else Refusal.PUSH_DISABLED


def _octets(text: str) -> bytes:
    """Return a header's name or value as ASGI has it."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError as error:
        raise LocalProtocolError(
            f"{text!r} cannot stand in a field", hint="percent-encode what is not Latin-1."
        ) from error


def _page_url(scope: Mapping[str, Any]) -> bytes:
    """Return the page's URL, or b"" if the request does not name its host."""
    host = header(scope, b"host")
    if not host:
        return b""
    path = _page_path(scope).encode("ascii")
    query = scope.get("query_string") or b""
    return b"%s://%s%s%s" % (scope["scheme"].encode(), host, path, query and b"?" + query)


def _page_path(scope: Mapping[str, Any]) -> str:
    """Return the page's path as in a URL; `raw_path` is optional in ASGI."""
    raw: bytes | None = scope.get("raw_path")
    # Over HTTP/1.1 eight-bit characters get through; what is escaped already stays so.
    return quote(raw, safe=_PATH_SAFE + "%") if raw else quote(scope["path"], safe=_PATH_SAFE)


async def push(
    request: RequestLike, path: str, *, method: str = "GET", headers: dict[str, str] | None = None
) -> Push:
    """Push one resource along with a request.

    Args:
        request: The page's, of Starlette, FastAPI, Litestar, Quart, or Django under ASGI.
        path: The resource; a relative path is taken from the page's own.
        headers: Headers to set on the pushed request.

    Returns:
        The push: false if it was not sent, and then `refusal` says why.
    """
    builder = PushBuilder(request.scope, _no_body, _send_channel(request)).method(method)
    for name, value in (headers or {}).items():
        builder.set_header(name, value)
    return await builder.path(path).push()


async def _no_body() -> Message:
    return {"type": "http.disconnect"}
