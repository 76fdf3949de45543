"""An upstream that breaks off: a 502 as long as nothing was sent on, else nothing looks whole."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from headstart.proxy import Proxy
from headstart.reasons import Gateway
from tests.server.live import PATIENCE, LiveServer, running
from tests.server.raw import RawClient
from tests.server.test_http1 import told

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n"
SIZED = HEAD + b"content-length: 9\r\n\r\n"
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"
GET = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@contextmanager
def behind(answer: bytes) -> Iterator[tuple[LiveServer, Proxy]]:
    """The proxy in front of an upstream that says so much to one request, and closes."""

    def serve() -> None:
        client, _ = listener.accept()
        with client:
            client.settimeout(PATIENCE)
            client.recv(65536)
            client.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE)
        thread = threading.Thread(target=serve)
        thread.start()
        proxy = Proxy(f"http://127.0.0.1:{listener.getsockname()[1]}")
        with running(proxy) as server:
            yield server, proxy
            thread.join(PATIENCE)
            server.stop()


@pytest.mark.parametrize("answer", [SIZED, CHUNKED])
def test_response_that_breaks_off_before_its_content_is_a_502_over_http2(answer: bytes) -> None:
    with behind(answer) as (server, proxy), RawClient(server.port) as client:
        response = client.get(b"/")

    assert (response.status, response.reset) == (502, None)
    assert b"gateway" in response.body
    assert proxy.failures == {Gateway.CLOSED: 1}


@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
def test_response_whose_content_begins_malformed_is_a_502_over_http1(version: bytes) -> None:
    with behind(CHUNKED + b"no size\r\n") as (server, proxy):
        response = told(server, GET.replace(b"1.1", version))

    assert response.startswith(b"HTTP/1.1 502 ")
    assert proxy.failures == {Gateway.MALFORMED: 1}


def test_response_that_breaks_off_before_its_content_is_a_502_over_http1() -> None:
    with behind(SIZED) as (server, proxy):
        response = told(server, GET)

    assert response.startswith(b"HTTP/1.1 502 ")
    assert proxy.failures == {Gateway.CLOSED: 1}


@pytest.mark.parametrize("answer", [SIZED + b"half", CHUNKED + b"4\r\nhalf\r\n"])
def test_response_that_breaks_off_in_its_content_is_reset(answer: bytes) -> None:
    with behind(answer) as (server, proxy), RawClient(server.port) as client:
        response = client.get(b"/")

    assert response.status in (0, 200)
    assert response.reset is not None
    assert proxy.failures == {Gateway.CLOSED: 1}


def test_head_of_a_stream_of_events_waits_for_no_event_over_http1() -> None:
    with behind(CHUNKED) as (server, proxy):
        response = told(server, GET)

    assert response.startswith(b"HTTP/1.1 200 ")
    assert not response.endswith(b"0\r\n\r\n")
    assert proxy.failures == {Gateway.CLOSED: 1}
