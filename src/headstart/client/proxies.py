"""HTTP proxies that connections go through: which one, and the tunnel (RFC 9110, 9.3.6).

Reads the environment as httpx does. Called by `requester` and `connect`.
"""

from __future__ import annotations

import asyncio
import socket
from base64 import b64encode
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from headstart.client.dialing import open_socket
from headstart.client.errors import ConnectError
from headstart.client.origin import Origin
from headstart.client.tls import is_loopback
from headstart.errors import ConfigurationError

_LONGEST_HEAD: Final = 16 * 1024
_HINT: Final = "Give http://[USER:PASSWORD@]HOST[:PORT]."


@dataclass(frozen=True, slots=True)
class HttpProxy:
    """A proxy that is asked by CONNECT for a tunnel.

    Attributes:
        host: Name or address.
        port: TCP port.
        credentials: `USER:PASSWORD`, or b"".
    """

    host: str
    port: int
    credentials: bytes = field(default=b"", repr=False)

    @classmethod
    def parse(cls, text: str) -> HttpProxy:
        """Read a URL; without a scheme, it is one of http.

        Raises:
            ConfigurationError: It is not a URL, or names a proxy of another kind. The password is
                not repeated.
        """
        try:
            parts = urlsplit(text if "://" in text else f"http://{text}")
        except ValueError as error:
            raise ConfigurationError("the proxy's URL cannot be read", hint=_HINT) from error
        if parts.scheme != "http" or not parts.hostname:
            raise ConfigurationError(
                f"a proxy of the kind {parts.scheme}:// cannot be used",
                hint=f"{_HINT} The connection to the server is TLS all the same.",
            )
        try:
            # The resolver would raise a UnicodeError for some names.
            place = Origin.parse(f"http://{parts.netloc.rpartition('@')[2]}")
        except ConfigurationError as error:
            raise ConfigurationError("the proxy's URL cannot be read", hint=_HINT) from error
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        credentials = f"{user}:{password}".encode() if user or password else b""
        return cls(place.host, place.port, credentials)

    def __str__(self) -> str:
        return f"http://{_bracketed(self.host)}:{self.port}"


def proxy_of_environment(origin: Origin) -> HttpProxy | None:
    """Return the proxy that HTTPS_PROXY, HTTP_PROXY or ALL_PROXY name for an origin, if any.

    NO_PROXY excludes hosts, and this machine is asked directly.

    Raises:
        ConfigurationError: See `HttpProxy.parse`.
    """
    named = getproxies()
    text = named.get(origin.scheme) or named.get("all")
    if not text or is_loopback(origin.host):
        return None
    if proxy_bypass(f"{origin.host}:{origin.port}"):
        return None
    return HttpProxy.parse(text)


async def tunnel(proxy: HttpProxy, origin: Origin, host: str) -> socket.socket:
    """Return a socket whose other end is the origin.

    Args:
        host: Name or address that the proxy connects to.

    Raises:
        ConnectError: The proxy cannot be reached, or makes no tunnel.
    """
    try:
        opened = await open_socket((proxy.host,), proxy.port)
    except OSError as error:
        raise ConnectError(
            f"cannot connect to the proxy {proxy}: {error.strerror or error}",
            hint="Check HTTPS_PROXY and the like, or the proxy that you gave.",
        ) from error
    try:
        await _ask(opened, proxy, origin, f"{_bracketed(host)}:{origin.port}")
    except BaseException:
        opened.close()
        raise
    return opened


async def _ask(opened: socket.socket, proxy: HttpProxy, origin: Origin, target: str) -> None:
    lines = [f"CONNECT {target} HTTP/1.1".encode("ascii"), f"Host: {target}".encode("ascii")]
    if proxy.credentials:
        lines.append(b"Proxy-Authorization: Basic " + b64encode(proxy.credentials))
    loop = asyncio.get_running_loop()
    try:
        await loop.sock_sendall(opened, b"\r\n".join(lines) + b"\r\n\r\n")
        head = bytearray()
        # One byte at a time: what comes behind the head is the server's.
        while not head.endswith(b"\r\n\r\n") and len(head) < _LONGEST_HEAD:
            byte = await loop.sock_recv(opened, 1)
            if not byte:
                break
            head += byte
    except OSError as error:
        raise ConnectError(f"the proxy {proxy} closed the connection: {error}") from error
    status = head.partition(b"\r\n")[0].decode("ascii", "backslashreplace")
    version, _, rest = status.partition(" ")
    if version not in ("HTTP/1.1", "HTTP/1.0") or not head.endswith(b"\r\n\r\n"):
        raise ConnectError(
            f"{proxy} does not answer as a proxy", hint="Is it an HTTP proxy, without TLS?"
        )
    if not rest.startswith("2"):
        raise ConnectError(
            f"the proxy {proxy} makes no tunnel to {origin}: {rest[:100]}",
            hint="Give it as http://USER:PASSWORD@HOST:PORT." if rest.startswith("407") else "",
        )


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
