"""The processes of the server: how workers start, fail, are replaced and end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from multiprocessing import Pipe
from pathlib import Path
from typing import Any, cast

import pytest
from uvicorn.config import STARTUP_FAILURE

from headstart.server.workers import Supervisor, WorkerProcess
from tests.server.live import PATIENCE, ServerProcess, serving, until
from tests.server.raw import RawClient

SLOW = "tests.server.slow_app:app"
TWO = ["--workers", "2", "--timeout-worker-healthcheck", "60", "--no-learn"]


def pids(server: ServerProcess, number: int = 2) -> set[int]:
    """The processes of the workers, once each has answered."""
    found: set[int] = set()

    def ask() -> bool:
        with RawClient(server.port) as client:
            found.add(int(client.get(b"/pid").body))
        return len(found) == number

    until(ask, "an answer of each worker")
    return found


def test_new_connections_are_refused_while_workers_finish_what_is_under_way() -> None:
    with serving(SLOW, *TWO) as server, RawClient(server.port) as client:
        stream_id = client.request(b"/slow", method=b"POST", end_stream=False)
        until(lambda: "in flight" in server.log, "the request")
        server.terminate()

        def refused() -> bool:
            try:
                socket.create_connection(("127.0.0.1", server.port), PATIENCE).close()
            except ConnectionRefusedError:
                return True
            except ConnectionResetError:
                pass  # it was accepted by the system just before the socket was closed
            return False

        until(refused, "the end of the listening socket")
        client.send_data(stream_id, b"late", end_stream=True)

        assert client.response(stream_id).body == b"late"
        assert server.wait() == 0
        assert "Traceback" not in server.log


def test_start_that_fails_in_a_worker_ends_the_server_with_its_status(tmp_path: Path) -> None:
    (tmp_path / "failing.py").write_text(
        "async def app(scope, receive, send):\n    raise RuntimeError('cannot start')\n"
    )
    arguments = ["failing:app", "--port", "0", "--lifespan", "on", *TWO]
    server = ServerProcess("serve", *arguments, folder=tmp_path)
    try:
        assert server.wait() == STARTUP_FAILURE
        assert "cannot start" in server.log
        assert "failed to start, so the server stops" in server.log
    finally:
        server.end()


def test_application_that_is_found_wrong_in_a_worker_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "made.py").write_text(
        "def wsgi(environ, start_response): ...\ndef make():\n    return wsgi\n"
    )
    arguments = ["made:make", "--factory", "--port", "0", *TWO]
    server = ServerProcess("serve", *arguments, folder=tmp_path)
    try:
        assert server.wait() == STARTUP_FAILURE
        assert "made:make looks like a WSGI application" in server.log
        assert "Traceback" not in server.log
    finally:
        server.end()


def test_worker_that_dies_is_replaced() -> None:
    with serving(SLOW, *TWO) as server:
        before = pids(server)
        killed = before.pop()
        os.kill(killed, signal.SIGKILL)
        until(lambda: f"Child process [{killed}] died" in server.log, "the notice")

        assert killed not in pids(server)


def test_sighup_replaces_workers_and_ttin_adds_one() -> None:
    with serving(SLOW, *TWO) as server:
        before = pids(server)
        server.process.send_signal(signal.SIGHUP)
        until(lambda: server.log.count("Started server process") == 4, "the new workers")
        until(lambda: server.log.count("Finished server process") == 2, "the end of the old ones")

        assert not before & pids(server)
        server.process.send_signal(signal.SIGTTIN)
        assert len(pids(server, 3)) == 3


@pytest.mark.parametrize("moment", [0, 1, 2])
def test_ctrl_c_while_workers_start_ends_all_without_a_traceback(moment: int) -> None:
    """SIGINT goes to the whole group, as a terminal sends it."""
    seen = ["Started parent process", "Uvicorn running", "Started server process"][moment]
    server = ServerProcess("serve", SLOW, "--port", "0", *TWO)
    try:
        until(lambda: seen in server.log, seen)
        os.killpg(server.process.pid, signal.SIGINT)

        assert server.wait() == 0
        assert "Traceback" not in server.log
        assert "KeyboardInterrupt" not in server.log
    finally:
        server.end()


class Alive:
    """A process that runs."""

    def is_alive(self) -> bool:
        return True


def test_worker_that_still_starts_is_not_taken_for_one_that_hangs() -> None:
    worker = WorkerProcess.__new__(WorkerProcess)
    worker.process = cast(Any, Alive())
    worker.parent_conn, worker.child_conn = Pipe()
    worker._asked, worker._has_answered = None, False

    assert worker.is_well(0.0, timeout=5.0)  # is asked
    assert worker.is_well(59.0, timeout=5.0)
    assert not worker.is_well(61.0, timeout=5.0)
    worker.child_conn.send(True)
    assert worker.is_well(61.0, timeout=5.0)
    assert worker.is_well(62.0, timeout=5.0)  # is asked again
    assert not worker.is_well(67.0, timeout=5.0)


def test_second_ctrl_c_passes_workers_by_that_have_just_ended() -> None:
    """A terminal sends it to them as well, so that they may end before their parent looks."""

    class Worker:
        def __init__(self, pid: int) -> None:
            self.pid = pid
            self.process = self
            self.joined = False

        def is_alive(self) -> bool:
            return not self.joined

        def join(self, timeout: float) -> None:
            self.joined = True
            supervisor.signal_queue.append(signal.SIGINT)

    supervisor = Supervisor.__new__(Supervisor)
    ended = subprocess.Popen(["true"])
    ended.wait()
    supervisor.processes, supervisor.signal_queue = cast(Any, [Worker(ended.pid)]), []

    supervisor.join_all()

    assert not supervisor.signal_queue
