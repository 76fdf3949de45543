"""The reverse proxies that are compared: each asks the same nginx over HTTP/1.1.

The proxy under load has a core for itself; the upstream shares the others with the load. So on two
cores a rate says as much about the upstream as about a proxy, and the processor time of the proxy's
processes for each response is what counts. Clients speak HTTP/2 to the proxy, without TLS.

Makes peers for `rounds`, and what serves pushes from a cache. Called by `jobs`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench.apps.content import HELLO
from bench.cores import CORES
from bench.rounds import Plan
from bench.scenarios import App, Kind, Scenario
from bench.servers import (
    BASELINE,
    PEERS,
    Command,
    Peer,
    RunningServer,
    Site,
    headstart_command,
    write_files,
)

CACHED: Final = "with cache"
NGHTTPX: Final = "nghttpx"
NGINX: Final = "nginx"
DIRECT: Final = "upstream"
NAMES: Final = (CACHED, NGHTTPX, NGINX, DIRECT)
"""Columns beside headstart's own."""

# No server gives up a connection within a run, and h2load does not connect again.
_FOR_EVER: Final = 2**31 - 1

_NGINX: Final = """\
daemon off; worker_processes 1; pid {folder}/{name}.pid; error_log {folder}/{name}.log crit;
{user}
events {{ worker_connections 8192; }}
http {{
  access_log off; keepalive_requests {many}; default_type text/plain;
  client_body_temp_path {folder}/{name}-1; proxy_temp_path {folder}/{name}-2;
  fastcgi_temp_path {folder}/{name}-3; uwsgi_temp_path {folder}/{name}-4;
  scgi_temp_path {folder}/{name}-5;
  {content}
}}
"""
_FILES: Final = """\
  server {{
    listen 127.0.0.1:{port}{http2}; root {files}; add_header Cache-Control "max-age=3600";
    location = / {{ return 200 "{hello}"; }}
  }}
"""
_PROXY: Final = """\
  upstream site {{ server 127.0.0.1:{upstream}; keepalive 128; keepalive_requests {many}; }}
  server {{
    listen 127.0.0.1:{port} http2;
    location / {{
      proxy_pass http://site; proxy_http_version 1.1; proxy_set_header Connection "";
    }}
  }}
"""


def _nginx(site: Site, name: str, content: str) -> list[str]:
    folder = site.files.parent
    file = folder / f"{name}.conf"
    user = "user root;" if os.getuid() == 0 else ""  # another one may not read the folder
    file.write_text(
        _NGINX.format(folder=folder, name=name, user=user, many=_FOR_EVER, content=content)
    )
    return [NGINX, "-c", str(file), "-e", str(folder / f"{name}.log")]


def files_of_nginx(http2: bool = False) -> Command:
    """Return what starts an nginx that answers as the applications do, cacheable for an hour."""

    def command(site: Site, port: int) -> list[str]:
        spoken = " http2" if http2 else ""
        content = _FILES.format(
            port=port, http2=spoken, files=site.files, hello=HELLO.decode("ascii")
        )
        return _nginx(site, f"upstream-{port}", content)

    return command


def proxies(upstream: int) -> list[Peer]:
    """Return headstart without and with its cache, nghttpx, nginx, and the upstream itself.

    Args:
        upstream: The port of the server behind all of them.
    """

    def nghttpx(site: Site, port: int) -> list[str]:
        del site
        front = ["--frontend", f"127.0.0.1,{port};no-tls", "--workers", "1"]
        return [NGHTTPX, "--conf", "/dev/null", *front, "--backend", f"127.0.0.1,{upstream}"]

    def nginx(site: Site, port: int) -> list[str]:
        content = _PROXY.format(port=port, upstream=upstream, many=_FOR_EVER)
        return _nginx(site, f"proxy-{port}", content)

    def headstart(*cache: str) -> Command:
        def command(site: Site, port: int) -> list[str]:
            what = ("proxy", f"http://127.0.0.1:{upstream}")
            return [*headstart_command(site, port, *what), "--no-learn", *cache]

        return command

    return [
        Peer(BASELINE, ("headstart",), headstart("--cache", "0")),
        Peer(CACHED, ("headstart",), headstart()),
        Peer(NGHTTPX, (), nghttpx),
        Peer(NGINX, (), nginx),
        Peer(DIRECT, (), files_of_nginx(http2=True)),
    ]


def pushers() -> list[Peer]:
    """Return headstart as a server without and with its cache, and nghttpd."""
    plain, nghttpd = (
        next(peer for peer in PEERS if peer.name == name) for name in (BASELINE, "nghttpd")
    )

    def cached(site: Site, port: int) -> list[str]:
        return [*plain.command(site, port), "--cache", "32MiB"]

    return [plain, Peer(CACHED, ("headstart",), cached, has_push=True), nghttpd]


def plans(scenarios: Sequence[Scenario], rounds: int, seconds: float, upstream: int) -> list[Plan]:
    """Return what is measured: the proxies in front of a port, then the servers that push."""
    pushing = [scenario for scenario in scenarios if scenario.kind is Kind.PUSHES]
    others = [scenario for scenario in scenarios if scenario.kind is not Kind.PUSHES]
    each = ((others, proxies(upstream)), (pushing, pushers()))
    return [Plan(some, peers, rounds, seconds) for some, peers in each if some]


@contextmanager
def upstream(folder: Path) -> Iterator[RunningServer]:
    """Run the server behind the proxies on the load's cores until the block ends.

    Raises:
        ServerFailed: It does not start.
    """
    files = folder / "upstream" / "files"
    files.mkdir(parents=True)
    write_files(files)
    peer, site = Peer(DIRECT, (), files_of_nginx()), Site(App.BARE, None, files)
    with RunningServer(peer, site, folder / "upstream.log", CORES.load) as server:
        server.wait_until_up()
        yield server
