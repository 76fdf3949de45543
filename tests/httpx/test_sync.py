"""httpx.Client over our connections, against the real server."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from headstart.httpx import AsyncTransport, Transport
from tests.httpx.app import LARGE
from tests.httpx.served import Site, plain_site, site, trusting


@pytest.fixture(scope="module")
def served() -> Iterator[Site]:
    with site() as made:
        yield made


def client(place: Site, *, push: bool = False) -> httpx.Client:
    transport = Transport(verify=trusting(), push=push)
    return httpx.Client(transport=transport, base_url=place.url, timeout=90)


def parts() -> Iterator[bytes]:
    for _ in range(40):
        yield b"x" * 50_000


def test_requests_go_over_http2(served: Site) -> None:
    with client(served) as asking:
        small = asking.get("/echo")
        large = asking.get("/large")
        sent = asking.post("/echo", content=parts())
        address = small.extensions["network_stream"].get_extra_info("server_addr")

    assert small.http_version == "HTTP/2"
    assert address == ("127.0.0.1", served.live.port)
    assert large.content == LARGE
    assert sent.json()["size"] == 2_000_000


def test_threads_share_a_connection(served: Site) -> None:
    with client(served) as asking, ThreadPoolExecutor(8) as pool:
        responses = list(pool.map(lambda _: asking.get("/echo"), range(40)))
        streams = [one.extensions["network_stream"] for one in responses]
        (address,) = {stream.get_extra_info("client_addr") for stream in streams}

    assert address is not None
    assert len({one.extensions["stream_id"] for one in responses}) == 40


def test_lines_come_while_the_response_goes_on() -> None:
    with site() as own, client(own) as asking, asking.stream("GET", "/events") as response:
        lines = response.iter_lines()
        first = next(lines)
        own.app.state.gate.open()

        assert (first, list(lines)) == ("data: 1", ["", "data: 2", ""])


def test_stream_can_be_left_early(served: Site) -> None:
    with client(served) as asking:
        with asking.stream("GET", "/large") as response:
            next(response.iter_raw())

        assert asking.get("/echo").status_code == 200


def test_pushed_response_answers_the_next_request(served: Site) -> None:
    with client(served, push=True) as asking:
        asking.get("/")

        assert asking.get("/style.css").extensions["from_push"]


def test_errors_are_httpxs(served: Site) -> None:
    with site() as own, client(own) as asking, pytest.raises(httpx.ReadTimeout):
        asking.get("/silent", timeout=httpx.Timeout(20, read=0.05))
    with client(served) as asking, pytest.raises(httpx.RemoteProtocolError):
        asking.get("/failing")


@pytest.mark.parametrize("tls", [True, False])
def test_server_without_http2_is_asked_over_http1(tls: bool) -> None:
    with plain_site(tls=tls) as own, client(own) as asking:
        responses = [asking.post("/echo", content=parts()) for _ in range(2)]

    assert [response.http_version for response in responses] == ["HTTP/1.1"] * 2
    assert [response.json()["size"] for response in responses] == [2_000_000, 2_000_000]


def test_trace_is_a_function(served: Site) -> None:
    told: list[str] = []

    with client(served) as asking:
        asking.get("/echo", extensions={"trace": lambda name, _: told.append(name)})

    assert told[-1] == "http2.response_closed.complete"


def test_it_takes_the_arguments_of_the_other_transport() -> None:
    assert inspect.signature(Transport) == inspect.signature(AsyncTransport)
