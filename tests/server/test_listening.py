"""Sockets that listen: how connections to them are set up, however they were opened."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from headstart.server.listening import as_it_is, inherited
from tests.server.live import ServerProcess, until
from tests.server.raw import RawClient

APP = "tests.server.sockets_app:app"


@pytest.mark.parametrize(
    ("way", "loop"),
    [
        ("port", "asyncio"),
        ("workers", "asyncio"),
        ("fd", "asyncio"),
        ("fd", "uvloop"),
        ("fd and workers", "asyncio"),
    ],
)
def test_connections_have_no_delay_and_are_kept_alive(way: str, loop: str) -> None:
    arguments = ["serve", APP, "--no-learn", "--loop", loop]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        handed_over = "fd" in way
        if handed_over:
            arguments += ["--fd", str(listener.fileno())]
        else:
            arguments += ["--port", "0"]
        if "workers" in way:
            arguments += ["--workers", "2"]
        fds = [listener.fileno()] if handed_over else []
        server = ServerProcess(*arguments, pass_fds=fds)
        try:
            if handed_over:
                server.port = listener.getsockname()[1]
                until(lambda: "running on socket" in server.log, "the line that says where")
            else:
                server.wait_until_started()
            with RawClient(server.port) as client:
                told = json.loads(client.get().body)
        finally:
            server.end()

    assert {"nodelay": True, "keepalive": True} in told["sockets"]
    assert all(one["nodelay"] for one in told["sockets"])
    assert told["client"][0] == "127.0.0.1"


def test_unix_socket_that_was_handed_over_is_served(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        number = listener.fileno()
        server = ServerProcess("serve", APP, "--no-learn", "--fd", str(number), pass_fds=[number])
        try:
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(path)
                client.sendall(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
                data = b""
                while part := client.recv(4096):
                    data += part
        finally:
            server.end()

    assert data.startswith(b"HTTP/1.1 200 ")
    assert b'"client": null' in data


def test_socket_is_known_as_what_it_is() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken = socket.fromfd(listener.fileno(), socket.AF_UNIX, socket.SOCK_STREAM)
        taken.set_inheritable(True)
        known = as_it_is(taken)
        again = inherited(listener.fileno())

        for one in (known, again):
            assert (one.family, one.proto) == (socket.AF_INET, socket.IPPROTO_TCP)
            assert one.getsockname() == listener.getsockname()
        assert known.get_inheritable()
        assert os.fstat(listener.fileno())
        known.close()
        again.close()
