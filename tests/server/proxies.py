"""Proxies that others wrote, in front of the server, over one HTTP/2 connection for all clients."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.ports import free_port
from tests.servers import running

# One thread: each has connections of its own.
_HAPROXY = """
global
    nbthread 1
defaults
    mode http
    timeout connect 10s
    timeout client 60s
    timeout server 60s
frontend people
    bind 127.0.0.1:{port}
    default_backend headstart
backend headstart
    http-reuse always
    server one 127.0.0.1:{upstream} proto h2
"""

# Passes TCP on, behind a header of the PROXY protocol.
_HAPROXY_TCP = """
global
    nbthread 1
defaults
    mode tcp
    timeout connect 10s
    timeout client 60s
    timeout server 60s
listen people
    bind 127.0.0.1:{port}
    server one 127.0.0.1:{upstream} {header}
"""

_CADDY = """
{{
    admin off
    auto_https off
}}
http://:{port} {{
    bind 127.0.0.1
    reverse_proxy h2c://127.0.0.1:{upstream}
}}
"""


@contextmanager
def haproxy(upstream: int) -> Iterator[int]:
    """Run haproxy until the block ends; its port."""
    with _proxy("haproxy", _HAPROXY, ["-db", "-f"], upstream) as port:
        yield port


@contextmanager
def haproxy_tcp(upstream: int, header: str) -> Iterator[int]:
    """Run haproxy until the block ends, which passes TCP on; its port.

    Args:
        header: send-proxy or send-proxy-v2, and what goes with it.
    """
    text = _HAPROXY_TCP.replace("{header}", header)
    with _proxy("haproxy", text, ["-db", "-f"], upstream) as port:
        yield port


@contextmanager
def caddy(upstream: int) -> Iterator[int]:
    """Run Caddy until the block ends; its port."""
    with _proxy("caddy", _CADDY, ["run", "--adapter", "caddyfile", "--config"], upstream) as port:
        yield port


@contextmanager
def _proxy(program: str, text: str, arguments: list[str], upstream: int) -> Iterator[int]:
    with running.folder() as place:
        port = free_port()
        configuration = place.write("proxy.conf", text.format(port=port, upstream=upstream))
        with running.process(place, program, [*arguments, str(configuration)], [port]):
            yield port


PROXIES = {"haproxy": haproxy, "caddy": caddy}
