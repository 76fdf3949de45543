"""/healthz and /readyz of real servers, through their whole life."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

import pytest

from tests.admin.apps import GO
from tests.admin.asked import address_in, administered, ask, says
from tests.ports import closed_port
from tests.server.live import PATIENCE, ServerProcess, serving, until

SLOW = "tests.server.slow_app:app"


@pytest.mark.parametrize("workers", ["1", "2"])
def test_server_is_alive_and_ready_until_it_ends(workers: str) -> None:
    with administered(SLOW, "--workers", workers) as (server, address):
        assert says(address, "/healthz", 200, "ok\n")
        server.terminate()
        assert server.wait() in (0, -signal.SIGTERM)
        with pytest.raises(ConnectionRefusedError):
            ask(address, "/healthz")


def test_server_that_ends_is_alive_and_not_ready() -> None:
    with administered(SLOW) as (server, address):
        with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as client:
            client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab")
            until(lambda: "in flight" in server.log)
            server.terminate()
            until(lambda: says(address, "/readyz", 503, "draining\n"), "draining")
            assert says(address, "/healthz", 200, "ok\n")
            client.sendall(b"cd")
            response = b""
            while part := client.recv(4096):
                response += part
        server.wait()

    assert response.endswith(b"abcd")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_server_whose_application_starts_is_not_ready_yet(workers: str, tmp_path: Path) -> None:
    server = ServerProcess(
        *("serve", "tests.admin.apps:slow_start", "--port", "0", "--workers", workers),
        *("--admin", "127.0.0.1:0"),
        folder=tmp_path,
    )
    try:
        until(lambda: "Waiting for application startup" in server.log)
        address = address_in(server.log)
        assert says(address, "/readyz", 503, "starting\n")
        until(lambda: says(address, "/healthz", 200, "ok\n"), "a process that answers")
        assert says(address, "/readyz", 503, "starting\n")

        (tmp_path / GO).touch()

        until(lambda: says(address, "/readyz", 200, "ready\n"), "readiness")
    finally:
        server.end()


def test_server_whose_event_loop_hangs_is_not_alive(tmp_path: Path) -> None:
    with (
        administered("tests.admin.apps:hanging", folder=tmp_path) as (server, address),
        socket.create_connection(("127.0.0.1", server.port), PATIENCE) as client,
    ):
        client.sendall(b"GET /hang HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        until(lambda: "hangs" in server.log)
        assert says(address, "/healthz", 503, "no process answers\n")

        (tmp_path / GO).touch()

        until(lambda: says(address, "/healthz", 200, "ok\n"), "the answer")
        assert client.recv(100).startswith(b"HTTP/1.1 200")


def test_worker_that_is_killed_is_replaced_and_the_server_stays_ready() -> None:
    with administered("tests.admin.apps:hanging", "--workers", "2") as (server, address):
        until(lambda: server.log.count("Application startup complete") == 2)
        with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            response = b""
            while part := client.recv(4096):
                response += part
        os.kill(int(response.rpartition(b"\r\n")[2]), signal.SIGKILL)

        until(lambda: server.log.count("Application startup complete") == 3)
        assert says(address, "/readyz", 200, "ready\n")
        assert says(address, "/healthz", 200, "ok\n")


def test_store_that_cannot_be_used_is_told_and_the_server_is_ready() -> None:
    with closed_port() as port:
        given = ("--admin", "127.0.0.1:0", "--store", f"redis://127.0.0.1:{port}/0")
        with serving(SLOW, *given) as server:
            address = address_in(server.log)
            until(lambda: ask(address, "/readyz").text.startswith("ready\nThe store"), "the news")
            ready, metrics = ask(address, "/readyz"), ask(address, "/metrics").text

    assert ready.status == 200
    assert ready.text == "ready\nThe store cannot be used. Learning goes on in memory.\n"
    assert "headstart_store_up 0.0\n" in metrics
    assert "headstart_store_failures_total 0.0" not in metrics
