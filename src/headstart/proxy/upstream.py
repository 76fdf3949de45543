"""Where an upstream is: `http://`, `https://` or `h2c://host:port`, or `unix:/path`.

Pure, but for the TLS context that it makes. Read by `pool` and `websocket`.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

from headstart.errors import ConfigurationError
from headstart.hosts import ascii_host

_PORTS = {"http": 80, "https": 443, "h2c": 80}
_HINT = "Give http://HOST:PORT, https://HOST:PORT, h2c://HOST:PORT or unix:/PATH."


@dataclass(frozen=True, slots=True)
class Upstream:
    """One server behind the proxy.

    Attributes:
        name: As it was given, for the log.
        host: Name or address; "" for a Unix socket.
        port: TCP port; 0 for a Unix socket.
        path: The Unix socket's path; "" for TCP.
        tls: Whether connections are made over TLS.
        http2: Whether it speaks HTTP/2 without TLS, by prior knowledge.
    """

    name: str
    host: str = ""
    port: int = 0
    path: str = ""
    tls: bool = False
    http2: bool = False

    @property
    def url(self) -> str:
        """The URL of the server, without a path; the host of a Unix socket's is localhost."""
        host = f"[{self.host}]" if ":" in self.host else self.host or "localhost"
        port = f":{self.port}" if self.port else ""
        return f"{'https' if self.tls else 'http'}://{host}{port}"

    @classmethod
    def parse(cls, text: str) -> Upstream:
        """Read an upstream as the command line takes it.

        Raises:
            ConfigurationError: It is not one of the forms, or has a path or query.
        """
        if text.startswith("unix:"):
            path = text.removeprefix("unix:").removeprefix("//")
            if not path.startswith("/"):
                raise ConfigurationError(f"The upstream {text!r} has no absolute path", hint=_HINT)
            return cls(text, path=path)
        try:
            parts = urlsplit(text)
            port = parts.port or _PORTS.get(parts.scheme, 0)
        except ValueError as error:
            raise ConfigurationError(
                f"The upstream {text!r} is not a URL: {error}", hint=_HINT
            ) from error
        if parts.scheme not in _PORTS or not parts.hostname:
            raise ConfigurationError(f"The upstream {text!r} is not an HTTP server", hint=_HINT)
        if parts.path.strip("/") or parts.query or parts.fragment or parts.username:
            raise ConfigurationError(
                f"The upstream {text!r} names more than a server",
                hint="Requests keep their path: give scheme, host and port only.",
            )
        return cls(
            text,
            ascii_host(parts.hostname),
            port,
            tls=parts.scheme == "https",
            http2=parts.scheme == "h2c",
        )


def tls_context(cafile: str, verify: bool) -> ssl.SSLContext:
    """Return the context for connections to TLS upstreams.

    Args:
        cafile: PEM file with the authorities to trust; "" for the system's.
        verify: False to accept any certificate.

    Raises:
        ConfigurationError: The file cannot be read.
    """
    try:
        context = ssl.create_default_context(cafile=cafile or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"{cafile} cannot be used as certificate authorities: {error}",
            hint="Give a PEM file with --upstream-cacert.",
        ) from error
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    return context
