"""Memory of idle connections, of a server that keeps a known amount for each."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bench import idle
from bench.frames import DATA, END_STREAM, GOAWAY, HEADERS, SETTINGS, frame
from bench.idle import answered, run_idle, settled, source
from bench.sample import LoadFailed
from bench.scenarios import App, named
from bench.servers import Peer, RunningServer, ServerFailed, Site

KEEPS = """
import selectors, socket, sys
server = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=1000)
kept, selector = [], selectors.DefaultSelector()
selector.register(server, selectors.EVENT_READ)
while True:
    for key, _ in selector.select():
        if key.fileobj is server:
            peer, _ = server.accept()
            kept.append(b"x" * 100_000)
            selector.register(peer, selectors.EVENT_READ)
        elif key.fileobj.recv(65536):
            key.fileobj.sendall(bytes.fromhex(sys.argv[2]))
        else:
            selector.unregister(key.fileobj)
"""
ANSWER = frame(SETTINGS, 0, 0) + frame(HEADERS, 4, 1, b"\x88") + frame(DATA, END_STREAM, 1, b"x")


def server(tmp_path: Path, answer: bytes) -> RunningServer:
    def command(_site: Site, port: int) -> list[str]:
        return [sys.executable, "-S", "-c", KEEPS, str(port), answer.hex()]

    return RunningServer(
        Peer("keeps", (), command), Site(App.BARE, None, tmp_path), tmp_path / "log"
    )


def test_memory_is_that_of_one_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idle, "check_answer", lambda *_: None)
    scenario = named("memory")
    assert scenario is not None

    with server(tmp_path, ANSWER) as running:
        running.wait_until_up()
        sample = run_idle(replace(scenario, connections=100), running, 1.0)

    assert sample.done == 100
    assert 100_000 < sample.memory < 120_000


def test_connection_that_is_refused_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idle, "check_answer", lambda *_: None)
    scenario = named("memory")
    assert scenario is not None

    with server(tmp_path, frame(GOAWAY, 0, 0, bytes(8))) as running:
        running.wait_until_up()
        with pytest.raises(LoadFailed, match="ended before it was idle"):
            run_idle(scenario, running, 1.0)


def test_memory_that_keeps_changing_is_no_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idle, "_PATIENCE", 0.1)
    sizes = iter(range(10**6))
    monkeypatch.setattr(RunningServer, "resident_bytes", lambda _self: next(sizes))

    with server(tmp_path, ANSWER) as running, pytest.raises(LoadFailed, match="kept changing"):
        settled(running)


def test_server_that_does_not_start_again_is_told(tmp_path: Path) -> None:
    scenario = named("memory")
    assert scenario is not None

    with server(tmp_path, ANSWER) as running:
        running.wait_until_up()
        running._peer = Peer("missing", (), lambda _site, _port: ["no-such-program"])
        with pytest.raises(ServerFailed, match="not installed"):
            run_idle(scenario, running, 1.0)


def test_answer_is_there_with_the_end_of_its_stream() -> None:
    assert answered(ANSWER)
    assert not answered(ANSWER[:-1])
    assert not answered(frame(SETTINGS, 1, 0))


def test_connections_come_from_many_addresses() -> None:
    assert len({source(number) for number in range(800)}) == 16
    assert source(0) == "127.0.0.2"
