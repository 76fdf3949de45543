"""Whether upstreams can be reached when the proxy starts: a warning for each that cannot.

Called by `cli.proxy` before the server starts, in the process that starts the workers. An upstream
that is the proxy's own address is an error, since it can never respond. Any other may well start
after the proxy, so nothing else here keeps the proxy from starting or holds it up: a thread of its
own connects to each upstream once and closes the connection.
"""

from __future__ import annotations

import ipaddress
import logging
import socket
import ssl
import threading
from collections.abc import Sequence

from headstart.config import ProxyOptions
from headstart.errors import ConfigurationError
from headstart.hosts import ascii_host
from headstart.proxy.upstream import Upstream, tls_context

logger = logging.getLogger("headstart.proxy")


def refuse_own_address(upstreams: Sequence[Upstream], host: str, port: int) -> None:
    """Refuse an upstream that stands for the address on which the proxy is to listen.

    Raises:
        ConfigurationError: There is one.
    """
    listening = ascii_host(host)
    for upstream in upstreams:
        if upstream.port == port and not upstream.path and _is_reached(listening, upstream.host):
            raise ConfigurationError(
                f"the upstream {upstream.name} is the address of the proxy itself",
                hint="Give the port of your server, or another --port to the proxy.",
            )


def _is_reached(listening: str, host: str) -> bool:
    """Return whether a listener on the first host is reached by the second one, on its port."""
    if listening == host:
        return True
    here, there = _address(listening), _address(host)
    if here is None or there is None:
        return False
    is_everywhere = here.is_unspecified and here.version == there.version
    return there.is_loopback and (is_everywhere or here == there)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the address that a host is, or None for a name."""
    try:
        # Of its two addresses, it is the one on which the proxy listens if nothing else is said.
        return ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        return None


def warn_of_unreachable(upstreams: Sequence[Upstream], options: ProxyOptions) -> threading.Thread:
    """Start to connect to each upstream, and log a warning for each that cannot be reached.

    Args:
        upstreams: Where they are.
        options: How long a connection may take, and how TLS is checked.

    Returns:
        The thread that does so. It ends by itself, or with the process.
    """

    def connect_to_each() -> None:
        for upstream in upstreams:
            reason = unreachable(upstream, options)
            if reason:
                logger.warning(
                    "The upstream %s cannot be reached: %s. The proxy starts all the same, and "
                    "tries again with each request.",
                    upstream.name,
                    reason,
                )

    thread = threading.Thread(target=connect_to_each, name="headstart-reach", daemon=True)
    thread.start()
    return thread


def unreachable(upstream: Upstream, options: ProxyOptions) -> str:
    """Return why an upstream cannot be reached now, as a part of a sentence; "" if it can."""
    try:
        with _connected(upstream, options.upstream_connect_timeout) as connection:
            if upstream.tls:
                context = tls_context(options.upstream_cacert, options.upstream_verify)
                context.set_alpn_protocols(["h2", "http/1.1"])
                context.wrap_socket(connection, server_hostname=upstream.host).close()
    except ssl.SSLCertVerificationError as error:
        return f"its certificate is not accepted ({error.verify_message}); see --upstream-cacert"
    except ssl.SSLError as error:
        return f"it does not speak TLS ({error.reason or error})"
    except OSError as error:
        return _reason(upstream, options, error)
    return ""


def _connected(upstream: Upstream, timeout: float) -> socket.socket:
    if not upstream.path:
        return socket.create_connection((upstream.host, upstream.port), timeout)
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(timeout)
        connection.connect(upstream.path)
    except OSError:
        connection.close()
        raise
    return connection


def _reason(upstream: Upstream, options: ProxyOptions, error: OSError) -> str:
    where = upstream.path or f"{upstream.host}:{upstream.port}"
    match error:
        case socket.gaierror(errno=socket.EAI_NONAME):
            return f"the name {upstream.host} is not known"
        case socket.gaierror():
            return f"the name {upstream.host} could not be looked up ({error.strerror})"
        case FileNotFoundError():
            return f"there is no socket {where}"
        case ConnectionRefusedError():
            return f"nothing listens on {where}"
        case TimeoutError():
            return f"{where} did not answer within {options.upstream_connect_timeout:g} s"
        case PermissionError():
            return f"connecting to {where} is not permitted"
        case _:
            return error.strerror or str(error)
