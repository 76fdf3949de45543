"""What `headstart demo` serves: the echo and the site, each at its place."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from websockets.exceptions import InvalidStatus

from headstart.demo.app import app
from tests.server.live import LiveServer, running
from tests.server.raw import RawClient
from tests.server.websockets import library_client


@pytest.fixture(scope="module")
def server() -> Iterator[LiveServer]:
    with running(app) as live:
        yield live


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (b"/", b"<title>"),
        (b"/site/", b"a small site"),
        (b"/site/style.css", b"font-face"),
    ],
)
def test_each_path_goes_where_it_belongs(server: LiveServer, path: bytes, said: bytes) -> None:
    with RawClient(server.port) as client:
        response = client.get(path)

    assert response.status == 200
    assert said in response.body


@pytest.mark.parametrize("path", [b"/site", b"/sitemap", b"/nothing"])
def test_what_only_looks_like_the_site_is_the_echos(server: LiveServer, path: bytes) -> None:
    with RawClient(server.port) as client:
        response = client.get(path)

    assert (response.status, response.body) == (404, b"There is only / and /data.\n")


def test_echo_echoes_beside_the_site(server: LiveServer) -> None:
    with RawClient(server.port) as client:
        client.response(client.request(b"/data", method=b"POST", body=b"hello"))

        assert client.response(2).body == b"I received the following data: hello"


def test_websockets_are_refused(server: LiveServer) -> None:
    with (
        pytest.raises(InvalidStatus),
        library_client(f"ws://127.0.0.1:{server.port}/site/"),
    ):
        pass
