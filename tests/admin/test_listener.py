"""The thread of the admin port: an error in it harms neither the site nor the server's end."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from headstart.admin import Admin, listener
from headstart.admin.access import Access
from headstart.admin.app import AdminApp
from headstart.admin.guard import Guard
from headstart.admin.listener import Listener
from headstart.admin.reporter import Reporter
from headstart.admin.routes import Request, Response, Route, text
from headstart.admin.workers import Workers
from headstart.config import AdminOptions
from headstart.server.run import Config
from headstart.server.workers import Server
from tests.admin.asked import ask
from tests.ports import free_port
from tests.server.apps import hello
from tests.server.live import PATIENCE

GUARD = Guard(Access("127.0.0.1", 0, frozenset({"localhost"}), ""))


@contextmanager
def door() -> Iterator[tuple[socket.socket, socket.socket]]:
    outside, inside = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with outside, inside:
        yield outside, inside


async def test_thread_that_ends_by_an_error_is_told_and_nobody_waits_for_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    listening.close()
    with door() as (outside, inside):
        workers = Workers(inside)
        made = Listener(listening, AdminApp(GUARD, (), workers), workers)
        made.start()
        made.close()

        config = Config(hello)
        config.load()
        reporter = Reporter(outside)
        await reporter.begin(Server(config))
        await reporter.end()

    assert "The admin port has ended; the site goes on" in caplog.text
    assert "The admin port is not there" in caplog.text


def test_handler_that_hangs_does_not_keep_the_server_from_its_end(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "_PATIENCE", 0.1)
    hangs, goes_on = threading.Event(), threading.Event()

    async def hang(request: Request, workers: Workers) -> Response:
        hangs.set()
        goes_on.wait()
        return text("at last")

    listening = socket.create_server(("127.0.0.1", 0))
    address = f"127.0.0.1:{listening.getsockname()[1]}"
    with door() as (_, inside):
        workers = Workers(inside)
        made = Listener(listening, AdminApp(GUARD, (Route("GET", "/", hang),), workers), workers)
        made.start()
        client = threading.Thread(target=ask, args=(address, "/"), daemon=True)
        client.start()
        assert hangs.wait(PATIENCE)
        closing = threading.Thread(target=made.close, daemon=True)
        try:
            closing.start()
            closing.join(PATIENCE)
            assert not closing.is_alive()
        finally:
            goes_on.set()
            client.join(PATIENCE)
            monkeypatch.undo()
            made.close()

    assert "The admin port hangs" in caplog.text


def test_port_of_the_options_is_free_if_the_site_is_on_an_inherited_socket() -> None:
    port = free_port()

    with Admin(AdminOptions(admin=str(port))).beside(Config(hello, port=port, fd=3)):
        assert ask(f"127.0.0.1:{port}", "/healthz").text == "starting\n"
