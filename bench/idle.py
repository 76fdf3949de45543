"""How much memory a connection costs that has been used and is now idle.

Each round has a server that was just started, since a server that has once held many connections
keeps their memory for the next ones. Called by `rounds`.
"""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack
from typing import Final

from bench.dial import dial
from bench.frames import (
    END_HEADERS,
    END_STREAM,
    FRAME_HEADER,
    GOAWAY,
    HEADERS,
    PREFACE,
    frame,
    no_push,
    request_fields,
)
from bench.load import check_answer
from bench.sample import LoadFailed, Sample
from bench.scenarios import Scenario
from bench.servers import RunningServer

# A server may limit the connections from one address, so they come from many.
_PER_ADDRESS: Final = 50
# Memory is read until it has not changed for that long, seconds.
_SETTLED: Final = 0.3
_PATIENCE: Final = 5.0


def run_idle(scenario: Scenario, server: RunningServer, seconds: float) -> Sample:
    """Start the server anew, connect, get one answer on each connection, and look at its memory.

    Args:
        seconds: Of no meaning; the number of connections says how long it takes.

    Raises:
        LoadFailed: A connection was refused, or memory kept changing.
        ServerFailed: It did not start again.
    """
    del seconds
    server.restart()
    check_answer(scenario, server)
    before = settled(server)
    with ExitStack() as stack:
        try:
            for number in range(scenario.connections):
                peer = dial(server.port, tls=scenario.tls, source=source(number))
                stack.enter_context(peer)
                _ask(peer, scenario, server.port)
        except OSError as error:
            raise LoadFailed(f"connection {number + 1} failed: {error}") from error
        grown = settled(server) - before
    count = scenario.connections
    return Sample(0.0, count, 0, 0, memory=grown / count)


def source(number: int) -> str:
    """The address of loopback from which a connection comes."""
    return f"127.0.0.{2 + number // _PER_ADDRESS}"


def settled(server: RunningServer) -> int:
    """The server's memory once it stays the same, bytes.

    Raises:
        LoadFailed: It does not.
    """
    deadline = time.monotonic() + _PATIENCE
    last, since = server.resident_bytes(), time.monotonic()
    while (now := time.monotonic()) < deadline:
        if now - since >= _SETTLED:
            return last
        time.sleep(0.02)
        if (found := server.resident_bytes()) != last:
            last, since = found, time.monotonic()
    raise LoadFailed(f"its memory kept changing for {_PATIENCE:.0f} s")


def _ask(peer: socket.socket, scenario: Scenario, port: int) -> None:
    fields = request_fields(f"127.0.0.1:{port}".encode(), scenario.path.encode(), tls=scenario.tls)
    request = frame(HEADERS, END_HEADERS | END_STREAM, 1, fields)
    peer.sendall(PREFACE + no_push() + request)
    received = b""
    while not answered(received):
        data = peer.recv(65536)
        if not data:
            raise LoadFailed("a connection was closed before it was idle")
        received += data


def answered(data: bytes) -> bool:
    """Whether a stream has ended in the bytes that a server sent.

    Raises:
        LoadFailed: The server ends the connection.
    """
    at = 0
    while len(data) - at >= FRAME_HEADER:
        start = at + FRAME_HEADER
        kind, flags, stream_id = data[at + 3], data[at + 4], data[at + 5 : start]
        if kind == GOAWAY:
            raise LoadFailed("a connection was ended before it was idle")
        at = start + int.from_bytes(data[at : at + 3], "big")
        if any(stream_id) and flags & END_STREAM and kind <= HEADERS and at <= len(data):
            return True
    return False
