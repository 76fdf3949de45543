"""Behind nginx that passes requests on as gRPC: the one way in which it speaks HTTP/2 upstream."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from headstart import hint
from headstart.wire.links import Link
from tests.peers import peer
from tests.ports import free_port
from tests.server.apps import Receive, Recorder, Scope, Send, answer, lifespan
from tests.server.live import PATIENCE, running
from tests.servers import running as programs
from tests.servers.nginx import nginx_with

_HTTP = """
server {{
    listen 127.0.0.1:{port};
    location / {{ grpc_pass grpc://127.0.0.1:{upstream}; }}
}}
"""


@contextmanager
def nginx_before(upstream: int) -> Iterator[str]:
    """An nginx that passes all on to a port by grpc_pass; its URL."""
    with programs.folder() as place:
        port = free_port()
        with nginx_with(place, _HTTP.format(port=port, upstream=upstream), [port]):
            yield f"http://127.0.0.1:{port}/"


class _Request:
    """What Starlette's request looks like to `hint`."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self.scope = scope
        self._send = send


@pytest.mark.parametrize(
    "fields",
    [[], ["-H", "accept: text/html"], ["-H", "sec-fetch-mode: navigate"]],
    ids=["a program", "an older browser", "a browser"],
)
def test_nginx_that_passes_a_page_on_as_grpc_gets_its_answer(fields: list[str]) -> None:
    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await lifespan(receive, send)
        await hint(_Request(scope, send), Link("/style.css", as_="style"))
        return await answer(send, b"page")

    recorder = Recorder(page)
    with running(recorder) as server, nginx_before(server.port) as url:
        command = [peer("curl"), "-sS", "-w", "%{http_code}", *fields, url]
        done = subprocess.run(command, check=False, capture_output=True, timeout=PATIENCE)

    assert done.stdout == b"page200", done.stderr
    assert recorder.next()["http_version"] == "2"
