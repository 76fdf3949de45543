"""The command from its start to its last line."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from headstart.h2c import exits, options, streams, wiretap
from headstart.h2c.dump.tap import Sink
from headstart.h2c.options.process import Wiretap
from headstart.h2c.streams import Failed
from headstart.wire.frames import PREFACE
from tests.h2c.push_server import PushServer, push_server

SETTINGS = bytes.fromhex("000000040000000000")


@pytest.fixture
def server() -> Iterator[PushServer]:
    with push_server() as running:
        yield running


class Visitor(threading.Thread):
    """Waits until the wiretap listens, visits it, and presses Ctrl-C unless it ends by itself.

    Attributes:
        said: What the user was told.
        answer: The first octets that came back.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, interrupts: bool = True) -> None:
        super().__init__(daemon=True)
        self.said: list[str] = []
        self.answer = b""
        self._interrupts = interrupts
        monkeypatch.setattr(streams, "say", self.said.append)

    def run(self) -> None:
        end = time.monotonic() + 90
        while not self.said and time.monotonic() < end:
            time.sleep(0.005)
        found = re.search(r"http://localhost:(\d+)", self.said[0])
        assert found
        # Whoever ends does not wait for what a visitor still says or reads.
        with (
            suppress(ConnectionError),
            socket.create_connection(("127.0.0.1", int(found[1])), 20) as connection,
        ):
            connection.sendall(PREFACE + SETTINGS)
            self.answer = connection.recv(9)
            if self._interrupts:
                os.kill(os.getpid(), signal.SIGINT)
            connection.recv(100)


def command(*arguments: str) -> Wiretap:
    found = options.parse(["wiretap", *arguments])
    assert isinstance(found, Wiretap)
    return found


def test_ctrl_c_ends_it_with_a_line_of_how_much_it_was(
    server: PushServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor = Visitor(monkeypatch)
    visitor.start()
    file = tmp_path / "frames"

    code = wiretap.run(
        command(f"--dump={file}", "--dump-format=json", "http://localhost:0", server.origin)
    )
    visitor.join(90)

    assert code == exits.OK
    assert visitor.answer[3] == 4  # the server's SETTINGS
    (last,) = visitor.said[1:]
    summary = r"connections: 1, frames: (\d+), bytes to the server: (\d+), bytes from it: (\d+)"
    found = re.fullmatch(summary, last)
    assert found
    assert int(found[1]) == len(file.read_text().splitlines())
    assert int(found[2]) == len(PREFACE + SETTINGS)
    kinds = [json.loads(line)["type"] for line in file.read_text().splitlines()]
    # Both sides begin by themselves, and either may be read first.
    assert sorted(kinds[:2]) == ["PREFACE", "SETTINGS"]


def test_a_dump_that_cannot_be_written_ends_it(
    server: PushServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(sink: Sink, piece: bytes, end: bytes = b"") -> None:
        raise Failed("disk full")

    monkeypatch.setattr(Sink, "write", full)
    visitor = Visitor(monkeypatch, interrupts=False)
    visitor.start()

    with pytest.raises(Failed, match="disk full"):
        wiretap.run(command("http://localhost:0", server.origin))
    visitor.join(90)

    assert visitor.said[1].startswith("connections: 1, ")


def test_what_cannot_be_used_is_said_before_it_listens(tmp_path: Path) -> None:
    wrong = command("--cacert", str(tmp_path / "missing"), "http://localhost:0", "localhost:1")
    with pytest.raises(Failed, match="cannot read the CA file") as caught:
        wiretap.run(wrong)
    assert caught.value.code == exits.USAGE

    keys = str(tmp_path / "missing" / "keys")
    with pytest.raises(Failed, match="cannot write the TLS keys"):
        wiretap.run(command("--keylog", keys, "http://localhost:0", "http://localhost:1"))
