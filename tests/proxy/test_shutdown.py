"""A server that stops leaves none of the proxy's connections to its upstreams open."""

from __future__ import annotations

import gc
import subprocess
from collections.abc import Iterator

import pytest

from headstart.proxy import Proxy
from tests.peers import peer
from tests.server.live import PATIENCE, running
from tests.server.raw import RawClient

# Keeps idle connections for longer than any test takes.
NODE = """
const [kind] = process.argv.slice(1);
const server = require(kind === "h2c" ? "node:http2" : "node:http")
  .createServer({ keepAliveTimeout: 3600000 }, (q, r) => r.end("kept"));
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
"""


@pytest.fixture(params=["http", "h2c"])
def upstream(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of Node, which speaks HTTP/1.1 or HTTP/2."""
    kind = request.param
    with subprocess.Popen([peer("node"), "-e", NODE, kind], stdout=subprocess.PIPE) as node:
        try:
            assert node.stdout is not None
            yield f"{kind}://127.0.0.1:{int(node.stdout.readline())}"
        finally:
            node.kill()
            node.wait(PATIENCE)


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
@pytest.mark.parametrize("at_once", [False, True])
def test_idle_connections_to_the_upstream_are_closed_before_the_event_loop(
    upstream: str, loop: str, at_once: bool
) -> None:
    with running(Proxy(upstream), loop=loop) as server:
        with RawClient(server.port) as client:
            content = client.get(b"/").body
        if at_once:
            server.kill()
        else:
            server.stop()
    gc.collect()  # an open transport warns, which is an error

    assert content == b"kept"
    assert not server.alive
