"""Command lines, and processes that are stopped whatever happens."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from bench.scenarios import App
from bench.servers import (
    PEERS,
    Certificate,
    Peer,
    RunningServer,
    ServerFailed,
    Site,
    with_workers,
    write_files,
)
from tests.server.live import until

CLEARTEXT = Site(App.BARE, None, Path("files"))
TLS = Site(App.BARE, Certificate(Path("leaf.pem"), Path("key.pem")), Path("files"))

STUBBORN = """
import os, signal, socket, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
if os.fork():
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
else:
    print(os.getpid(), flush=True)
time.sleep(60)
"""
CHATTY = """
import socket, sys, time
print("GET / 200\\n" * 10000, flush=True)
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
time.sleep(60)
"""


def script(text: str) -> Peer:
    def command(_site: Site, port: int) -> list[str]:
        return [sys.executable, "-S", "-c", text, str(port)]

    return Peer("script", (), command)


def is_alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_certificate_is_given_for_tls_only(peer: Peer) -> None:
    assert "leaf.pem" in peer.command(TLS, 1234)
    assert "leaf.pem" not in peer.command(CLEARTEXT, 1234)
    assert any("1234" in word for word in peer.command(CLEARTEXT, 1234))


@pytest.mark.parametrize("peer", [p for p in PEERS if p.is_asgi], ids=lambda peer: peer.name)
def test_every_application_server_runs_the_same_application_once(peer: Peer) -> None:
    command = peer.command(CLEARTEXT, 1234)

    assert command[0] == sys.executable
    assert "bench.apps.bare:app" in command
    assert command[command.index("--workers") + 1] == "1"
    assert "uvloop" in command


def test_only_the_column_for_it_learns_and_keeps_it_in_the_folder_of_the_run() -> None:
    plain, learning = (peer.command(CLEARTEXT, 1234) for peer in PEERS[:2])

    assert "--no-learn" in plain
    assert Path(learning[learning.index("--store") + 1]).parent == CLEARTEXT.files.parent


def test_workers_that_outlive_their_parent_are_killed(tmp_path: Path) -> None:
    log = tmp_path / "log"

    with RunningServer(script(STUBBORN), CLEARTEXT, log) as server:
        server.wait_until_up()
        until(lambda: log.read_text().endswith("\n"), "the worker's number")
        worker = int(log.read_text())
        assert is_alive(worker)

    until(lambda: not is_alive(worker), "the worker's end")


def test_server_that_logs_each_request_is_no_fair_race(tmp_path: Path) -> None:
    with (
        RunningServer(script(CHATTY), CLEARTEXT, tmp_path / "log") as server,
        pytest.raises(ServerFailed, match=r"logged \d+ KB, .*: GET / 200"),
    ):
        server.wait_until_up()


def test_settings_of_other_servers_do_not_leak_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", "8")
    monkeypatch.setenv("GRANIAN_WORKERS", "8")
    text = "import os; print([n for n in os.environ if 'CONCURRENCY' in n or 'GRANIAN' in n])"

    with (
        RunningServer(script(text), CLEARTEXT, tmp_path / "log") as server,
        pytest.raises(ServerFailed, match=r"status 0: \[\]"),
    ):
        server.wait_until_up()

    assert os.environ["WEB_CONCURRENCY"] == "8"


def test_files_are_what_the_applications_answer(tmp_path: Path) -> None:
    write_files(tmp_path)

    assert (tmp_path / "index.html").read_bytes() == b"Hello, world!"
    assert len((tmp_path / "100k").read_bytes()) == 102400
    assert (tmp_path / "upload").read_bytes() == b"1048576"
    assert len((tmp_path / "upload.bin").read_bytes()) == 1048576
    assert (tmp_path / "long").stat().st_size == 52428800
    assert len((tmp_path / "asset" / "9").read_bytes()) == 1024


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_two_workers_change_nothing_else(peer: Peer, tmp_path: Path) -> None:
    site = Site(App.BARE, None, tmp_path / "files")

    one, two = peer.command(site, 1234), with_workers(peer, 2).command(site, 1234)

    at = one.index("--workers") + 1
    assert (one[at], two[at]) == ("1", "2")
    assert one[:at] + one[at + 1 :] == two[:at] + two[at + 1 :]
