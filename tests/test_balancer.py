"""A fleet behind a real nginx that balances: three servers, one Redis, browsers over HTTP/1.1.

The pages name no asset in their HTML, so an asset is learned only by a client that asks for it.
Each visitor has an address of its own. nginx keeps connections to the servers and sends all
requests of an address to the same server.
"""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from itertools import count

import pytest

from tests.ports import free_port
from tests.redis_server import redis_server
from tests.server.live import PATIENCE, ServerProcess, serving, until
from tests.servers import running
from tests.servers.nginx import nginx_with

APP = "tests.balanced_app:app"
PAGE = "/one/"
ASSETS = [f"{PAGE}{name}.css" for name in ("base", "menu", "text", "list")]

_HTTP = """
upstream headstart {{
    {balancing}
    {servers}
    keepalive 16;
}}
server {{
    listen 127.0.0.1:{port};
    location / {{
        proxy_pass http://headstart;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host example.test;
        proxy_set_header X-Forwarded-For $remote_addr;
    }}
}}
"""


@contextmanager
def balanced(balancing: str) -> Iterator[tuple[int, list[ServerProcess]]]:
    """Run three servers behind nginx; the port of nginx, and the servers."""
    with redis_server() as redis, ExitStack() as stack:
        instances = [
            stack.enter_context(serving(APP, "--store", redis.url, "--learn-control-share", "0"))
            for _ in range(3)
        ]
        place = stack.enter_context(running.folder())
        servers = "\n".join(f"server 127.0.0.1:{instance.port};" for instance in instances)
        port = free_port()
        http = _HTTP.format(port=port, balancing=balancing, servers=servers)
        stack.enter_context(nginx_with(place, http, [port]))
        yield port, instances


class Visitor:
    """A browser at an address of its own, with one connection."""

    def __init__(self, port: int, number: int) -> None:
        # ip_hash looks at the first three numbers of an address.
        self._connection = http.client.HTTPConnection(
            "127.0.0.1", port, timeout=PATIENCE, source_address=(f"127.{number}.7.1", 0)
        )
        self.served_by: list[str] = []

    def get(self, path: str, **headers: str) -> str:
        """Ask for a path; return the Link header of the response."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self._connection.request(
            "GET", path, headers={"Host": "example.test", "User-Agent": "Browser/1.0"} | named
        )
        response = self._connection.getresponse()
        response.read()
        assert response.status == 200
        self.served_by.append(response.headers["Served-By"])
        return ", ".join(response.headers.get_all("Link", []))

    def visit(self, page: str = PAGE) -> list[str]:
        """Load a page with all its assets; return those that were told of ahead."""
        link = self.get(page, Sec_Fetch_Mode="navigate", Sec_Fetch_Dest="document")
        for asset in ASSETS:
            self.get(asset, Referer=f"http://example.test{page}", Sec_Fetch_Dest="style")
        return [asset for asset in ASSETS if f"<{asset}>" in link]

    def close(self) -> None:
        """End the connection."""
        self._connection.close()


@pytest.mark.parametrize("balancing", ["ip_hash;", "hash $remote_addr consistent;"])
def test_all_servers_behind_nginx_learn_the_page_that_its_visitors_load(balancing: str) -> None:
    numbers = count(1)
    with balanced(balancing) as (port, instances):
        told: dict[str, list[str]] = {}

        def told_by_all() -> bool:
            with closing(Visitor(port, next(numbers))) as visitor:
                ahead = visitor.visit()
            told[visitor.served_by[0]] = ahead
            assert len(set(visitor.served_by)) == 1
            return len(told) == len(instances) and all(ahead == ASSETS for ahead in told.values())

        until(told_by_all, "learning", seldom=True)
