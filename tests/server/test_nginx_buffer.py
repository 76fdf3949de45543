"""Behind nginx with its own defaults: links never make a page's fields too large for its buffer.

nginx answers 502 ('upstream sent too big header') where all fields of a response are longer than
`proxy_buffer_size`: 4 KiB.
"""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import count

import pytest

from headstart.deliver.decide import fields_size
from tests.peers import peer
from tests.ports import free_port
from tests.server.apps import Headers
from tests.server.live import PATIENCE, serving, until
from tests.server.wide_app import OWN, STYLES
from tests.servers import running as programs
from tests.servers.nginx import nginx_with

_HTTP = """
server {{
    listen 127.0.0.1:{port};
    location / {{
        proxy_pass http://127.0.0.1:{upstream};
        proxy_http_version {version};
        proxy_set_header Host $http_host;
        proxy_set_header X-Forwarded-For $http_x_visitor;
    }}
}}
"""
_BUFFER = 4096
# A command line that makes the server add fields of its own.
_ADDED = ("--header", "permissions-policy:" + "camera=(), " * 40)


@contextmanager
def nginx_before(upstream: int, version: str) -> Iterator[int]:
    """An nginx that passes all on to a port, with its default buffers; its own port."""
    with programs.folder() as place:
        port = free_port()
        http = _HTTP.format(port=port, upstream=upstream, version=version)
        with nginx_with(place, http, [port]):
            yield port


def visit(port: int, address: str) -> tuple[int, Headers]:
    """Load a page and its stylesheets as a browser does. Return the page's status and fields."""
    sent = {"x-visitor": address, "user-agent": "Mozilla/5.0 Firefox/128.0"}
    document = {**sent, "sec-fetch-dest": "document", "accept": "text/html"}
    style = {**sent, "sec-fetch-dest": "style", "referer": f"http://127.0.0.1:{port}/"}
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as connection:
        page = _asked(connection, "/", document)
        for target in STYLES:
            assert _asked(connection, target, style)[0] == 200
    return page


def _asked(
    connection: http.client.HTTPConnection, target: str, fields: dict[str, str]
) -> tuple[int, Headers]:
    connection.request("GET", target, headers=fields)
    with connection.getresponse() as response:
        response.read()
        pairs = response.getheaders()
    return response.status, [(name.encode(), value.encode()) for name, value in pairs]


@pytest.mark.parametrize("added", [(), _ADDED], ids=["", "with fields of the server"])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_links_make_no_page_too_large_for_the_buffer_of_nginx(
    version: str, added: tuple[str, ...]
) -> None:
    peer("nginx")
    pages: list[Headers] = []
    addresses = (f"198.51.100.{number}" for number in count(1))

    def is_linked() -> bool:
        status, fields = visit(port, next(addresses))
        assert status == 200, fields
        pages.append(fields)
        return any(name == b"link" for name, _ in fields)

    options = ("--no-learn-measure", "--learn-control-share", "0", *added)
    with (
        serving("tests.server.wide_app:app", *options) as server,
        nginx_before(server.port, version) as port,
    ):
        until(is_linked, "a page with links")
        for _ in range(3):
            assert is_linked()

    assert 3000 < fields_size(OWN) < 3200
    assert _BUFFER - 600 < fields_size(pages[-1]) <= _BUFFER
