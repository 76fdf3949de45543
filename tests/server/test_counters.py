"""What a page of metrics can read."""

from __future__ import annotations

import json
import socket

import pytest

from headstart.reasons import Closing, Refusal
from headstart.server.counters import Counters, counters_of
from headstart.server.protocol import PREFACE
from headstart.server.worker import Worker
from tests.server.apps import Receive, Scope, Send, answer, hello, lifespan, pushing
from tests.server.live import PATIENCE, LiveServer, running, until
from tests.server.raw import RawClient
from tests.server.test_http1 import LAST, MALFORMED, told


def test_snapshot_is_plain_json() -> None:
    counters = Counters()
    counters.connections[Closing.IDLE] += 2
    counters.pushes[Refusal.TOO_MANY] += 1

    assert json.loads(json.dumps(counters.snapshot())) == {
        "accepted": 0,
        "open": 0,
        "connections": {"idle": 2},
        "requests": {},
        "pushes": {"too-many": 1},
    }


def test_another_servers_scope_has_none() -> None:
    assert counters_of({"type": "http"}) is None
    assert counters_of({"type": "http", "extensions": {"http.response.push": {}}}) is None


def test_application_reads_them_over_each_version_of_http() -> None:
    async def metrics(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await lifespan(receive, send)
        if scope["type"] == "http" and "http.response.push" in scope["extensions"]:
            await send({"type": "http.response.push", "path": "no path", "headers": []})
        counters = counters_of(scope)
        assert counters is not None
        return await answer(send, json.dumps(counters.snapshot()).encode())

    with running(metrics) as server:
        told(server, MALFORMED["no Host"])
        over_1 = json.loads(told(server, LAST).partition(b"\r\n\r\n")[2])
        with RawClient(server.port) as client:
            over_2 = json.loads(client.get().body)

    assert over_1["connections"]["malformed"] == over_2["connections"]["malformed"] == 1
    assert (over_1["accepted"], over_2["accepted"]) == (2, 3)
    assert over_2["pushes"] == {"bad-path": 1}


def counters_in(server: LiveServer) -> Counters:
    live = server.server
    return Worker.of(live.server_state, live.config, live.loop).counters


# SETTINGS, and a request for / whose fields are in HPACK's static table, but for the host.
OVER_2 = PREFACE + bytes.fromhex(
    "000000040000000000 000006010500000001 828684 41017a".replace(" ", "")
)


@pytest.mark.parametrize(
    ("request_bytes", "answer_end"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"/ over 1.1"),
        (b"GET / HTTP/1.1\r\n\r\n", b"authority\n"),
        (OVER_2, b"/ over 2"),
    ],
)
def test_bytes_are_those_on_the_connection(request_bytes: bytes, answer_end: bytes) -> None:
    with running(hello) as server:
        with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as client:
            client.sendall(request_bytes)
            received = b""
            while answer_end not in received and (part := client.recv(65536)):
                received += part
            client.shutdown(socket.SHUT_WR)
            while part := client.recv(65536):
                received += part
        counters = counters_in(server)
        until(lambda: counters.open == 0, "the end of the connection")

        assert counters.bytes_received == len(request_bytes)
        assert counters.bytes_sent == len(received)


def test_promises_and_early_hints_are_counted() -> None:
    with running(pushing) as server, RawClient(server.port) as client:
        client.get(b"/", [(b"accept", b"text/html")])
        client.settle()
        counters = counters_in(server)

        assert counters.promises == len(client.promises) == 1
        assert counters.early_hints == 1
