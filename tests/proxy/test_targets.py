"""The target of a request reaches the upstream byte for byte, whatever both sides speak."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from headstart.cache import CacheMiddleware
from headstart.proxy import Proxy
from tests.peers import peer
from tests.server.live import PATIENCE, LiveServer, running
from tests.server.raw import RawClient
from tests.server.test_http1 import told

TARGETS = [
    "/?",
    "/",
    "/a?",
    "/a??",
    "/a?b?",
    "/a?b=%20&c=+",
    "//a//b",
    "/%2F/%2f",
    "/%C3%BC%ff",
    "/a/../b/./c",
    "/a;b=c;d",
    "/a:b@c!$&'()*,=~",
    "/[a]|{b}^`",
    '/"',
    "/\\a",
]
NODE = """
const [kind] = process.argv.slice(1);
const server = kind === "h2c"
  ? require("node:http2").createServer((q, r) => r.end(q.headers[":path"]))
  : require("node:http").createServer((q, r) => {
      r.setHeader("cache-control", "max-age=60");
      r.end(q.url);
    });
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
"""


@pytest.fixture(scope="module", params=["http", "h2c", "cached"])
def server(request: pytest.FixtureRequest) -> Iterator[LiveServer]:
    """The proxy in front of Node, which answers with the target that it got."""
    kind = "h2c" if request.param == "h2c" else "http"
    with subprocess.Popen([peer("node"), "-e", NODE, kind], stdout=subprocess.PIPE) as node:
        try:
            assert node.stdout is not None
            proxy = Proxy(f"{kind}://127.0.0.1:{int(node.stdout.readline())}")
            app = CacheMiddleware(proxy) if request.param == "cached" else proxy
            with running(app) as server:
                yield server
        finally:
            node.kill()
            node.wait(PATIENCE)


@pytest.mark.parametrize("target", TARGETS)
def test_target_reaches_the_upstream_as_the_client_wrote_it(
    server: LiveServer, target: str
) -> None:
    line = f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    over_http1 = told(server, line.encode())
    with RawClient(server.port) as client:
        over_http2 = client.get(target.encode()).body

    assert _content(over_http1) == target.encode()
    assert over_http2 == target.encode()


def test_targets_of_one_connection_do_not_pass_their_empty_query_on(server: LiveServer) -> None:
    with RawClient(server.port) as client:
        over_http2 = [client.get(path).body for path in (b"/", b"/?", b"/", b"/a?", b"/a?b?")]

    assert over_http2 == [b"/", b"/?", b"/", b"/a?", b"/a?b?"]


@pytest.mark.parametrize("target", ["*"])
def test_target_of_options_for_the_whole_server_stays(server: LiveServer, target: str) -> None:
    line = f"OPTIONS {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

    assert _content(told(server, line.encode())) == target.encode()


@pytest.mark.parametrize("target", ["/ü", "/a#b", "/\x7f", "a", "", "*"])
def test_target_that_is_none_is_refused(server: LiveServer, target: str) -> None:
    line = f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

    assert told(server, line.encode()).startswith(b"HTTP/1.1 400 ")


def _content(data: bytes) -> bytes:
    """Return the content of a response, in one chunk or without chunks."""
    head, _, content = data.partition(b"\r\n\r\n")
    return content.split(b"\r\n")[1] if b"chunked" in head.lower() else content
