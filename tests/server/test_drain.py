"""The server stops, or starts anew: no response that was begun is lost, and nobody is turned away
who was let in.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

import pytest

from tests.peers import peer
from tests.server.apps import Held, hello
from tests.server.hostile import (
    DATA,
    END_HEADERS,
    HEADERS,
    RST_STREAM,
    Hostile,
    block,
    frame,
    get,
)
from tests.server.live import PATIENCE, LiveServer, ServerProcess, running, serving, until
from tests.server.raw import RawClient, tls_socket
from tests.server.test_http1 import GOOD, connected, rest, statuses

COUNTING = "tests.server.counting_app:app"


# One connection in each state that it can be in.


def test_idle_connection_still_has_its_request_on_the_way_answered() -> None:
    with running(hello, timeout_graceful_shutdown=20) as server, connected(server) as client:
        client.sendall(GOOD)
        until_ok(client)
        server.begin_to_stop()
        until(lambda: is_closed(server), "the end of listening")
        client.sendall(GOOD)

        answer = rest(client)
        assert statuses(answer) == [200]
        assert b"connection: close" in answer.lower()
        server.stop()


def until_ok(client: socket.socket) -> None:
    data = b""
    while b"/ok over 1.1" not in data:
        data += client.recv(65536)


def is_closed(server: LiveServer) -> bool:
    try:
        connected(server).close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.mark.parametrize("tls", [False, True])
def test_connection_that_had_not_spoken_yet_is_answered_over_http_1_1(tls: bool) -> None:
    with running(hello, tls=tls, timeout_graceful_shutdown=20) as server:
        with tls_socket(server.port) if tls else connected(server) as client:
            until(lambda: server.server.server_state.connections, "the connection")
            server.begin_to_stop()
            until(lambda: is_closed(server), "the end of listening")
            client.sendall(GOOD)

            assert statuses(rest(client)) == [200]
        server.stop()


@pytest.mark.parametrize("tls", [False, True])
def test_connection_that_had_not_spoken_yet_is_answered_over_http_2(tls: bool) -> None:
    with running(hello, tls=tls, timeout_graceful_shutdown=20) as server:
        with RawClient(server.port, tls=tls) as client:
            until(lambda: server.server.server_state.connections, "the connection")
            server.begin_to_stop()
            until(lambda: is_closed(server), "the end of listening")

            assert client.get(b"/x").body == b"/x over 2"
            client.until_closed()
            assert len(client.goaways) == 2
        server.stop()


def test_half_a_head_is_waited_for() -> None:
    with running(hello, timeout_graceful_shutdown=20) as server, connected(server) as client:
        client.sendall(GOOD[:20])
        until(lambda: server.server.server_state.connections, "the connection")
        server.begin_to_stop()
        until(lambda: is_closed(server), "the end of listening")
        client.sendall(GOOD[20:])

        assert statuses(rest(client)) == [200]
        server.stop()


def test_pipelined_requests_are_all_answered() -> None:
    held = Held()
    with running(held, timeout_graceful_shutdown=20) as server, connected(server) as client:
        client.sendall(GOOD * 5)
        until(lambda: held.waiting == 1, "the first")
        server.begin_to_stop()
        until(lambda: is_closed(server), "the end of listening")
        held.gate.open()

        assert statuses(rest(client)) == [200] * 5
        server.stop()


@pytest.mark.parametrize("tls", [False, True])
def test_connections_that_wait_to_be_accepted_are_answered(tls: bool) -> None:
    with running(hello, tls=tls, timeout_graceful_shutdown=20) as server:
        until(lambda: server.server.server_state.default_headers, "the first tick")
        blocked, go_on = threading.Event(), threading.Event()

        def block() -> None:
            blocked.set()
            go_on.wait(PATIENCE)

        server.call(block)
        blocked.wait(PATIENCE)
        waiting = [connected(server) for _ in range(20)]
        server.begin_to_stop()
        # The loop's timer, and with it the end, comes before it looks at sockets.
        threading.Timer(0.1, go_on.set).start()
        if not tls:
            for client in waiting:
                client.sendall(GOOD)

            assert [statuses(rest(client)) for client in waiting] == [[200]] * 20
        else:
            until(lambda: server.server.server_state.connections, "the connections")
        for client in waiting:
            client.close()
        server.stop()


def test_end_does_not_wait_for_who_says_nothing() -> None:
    with running(hello, timeout_graceful_shutdown=None) as server:
        silent = [connected(server) for _ in range(3)]
        silent[1].sendall(GOOD)
        until_ok(silent[1])
        until(lambda: len(server.server.server_state.connections) == 3, "the connections")
        server.stop()

        assert [client.recv(1) for client in silent] == [b""] * 3
        for client in silent:
            client.close()


# A whole process under load.


@contextmanager
def load(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """h2load, which goes on until its requests are answered or nobody is there."""
    process = subprocess.Popen(
        [peer("h2load"), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["-c", "10", "-m", "50"], id="HTTP/2"),
        pytest.param(["--h1", "-c", "20", "-m", "1"], id="HTTP/1.1"),
        pytest.param(["--h1", "-c", "10", "-m", "8"], id="HTTP/1.1, pipelined"),
    ],
)
def test_sigterm_under_full_load_loses_no_response_that_was_started(arguments: list[str]) -> None:
    """What the application has answered, and what h2load got, is the same number."""
    options = ["--no-access-log", "--max-requests", "1000000000"]
    with serving(COUNTING, *options) as server:
        url = f"http://127.0.0.1:{server.port}/"
        with load(*arguments, "-n", "10000000", url) as process:
            until(lambda: answered_more_than(server, 2000), "the load")
            server.terminate()
            assert server.wait() == -signal.SIGTERM
            output, _ = process.communicate(timeout=PATIENCE)
        answered = re.search(r"answered in all (\d+)", server.log)
        received = re.search(r"(\d+) succeeded", output)

        assert answered is not None, server.log
        assert received is not None, output
        assert received[1] == answered[1], output
        assert "Traceback" not in server.log


def answered_more_than(server: ServerProcess, number: int) -> bool:
    with RawClient(server.port) as client:
        return int(client.get(b"/count").body) > number


# Several processes.


# uvicorn keeps the old workers where a new one has not begun within 5 s, and kills one that does
# not answer in that time: too little for a machine that is busy with other things.
WORKERS = ("--workers", "2", "--no-access-log", "--timeout-worker-healthcheck", "60")


class Asking:
    """Asks again and again on new connections, and notes each answer that did not come."""

    def __init__(self, port: int, http2: bool) -> None:
        self.answers: list[bytes] = []
        self.lost: list[str] = []
        self._port = port
        self._ask: Callable[[], bytes] = self._over_2 if http2 else self._over_1
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Asking:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stopped.set()
        self._thread.join(PATIENCE)

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self.answers.append(self._ask())
            except (OSError, AssertionError) as error:
                self.lost.append(repr(error))

    def _over_1(self) -> bytes:
        with socket.create_connection(("127.0.0.1", self._port), PATIENCE) as client:
            client.settimeout(PATIENCE)
            client.sendall(b"GET /pid HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            head, _, body = rest(client).partition(b"\r\n\r\n")
            assert b" 200 " in head, head
            return body

    def _over_2(self) -> bytes:
        with RawClient(self._port) as client:
            return client.get(b"/pid").body

    def until_all_are_new(self, old: set[bytes], how_many: int) -> None:
        """Wait until so many answers in a row come from none of the old processes."""
        until(
            lambda: len(self.answers) > how_many and old.isdisjoint(self.answers[-how_many:]),
            "answers of the new processes",
        )


@pytest.mark.parametrize("http2", [False, True], ids=["HTTP/1.1", "HTTP/2"])
def test_restart_of_the_workers_turns_nobody_away(http2: bool) -> None:
    with (
        serving(COUNTING, *WORKERS) as server,
        Asking(server.port, http2) as asking,
    ):
        until(lambda: len(set(asking.answers)) == 2, "an answer of each worker")
        old = set(asking.answers)
        server.process.send_signal(signal.SIGHUP)
        asking.until_all_are_new(old, 50)

        assert asking.lost == []
        assert "Traceback" not in server.log


class Attacking:
    """Attacks again and again: resets, half requests, bodies that stop, answers that stay unread.

    Each connection stays until there are many, so that the server has them to wait for. A round of
    attacks goes with each answer that `asking` gets: flat out, they would leave it no time, since
    they are threads of one process.
    """

    def __init__(self, port: int, asking: Asking) -> None:
        self.made = 0
        self._port = port
        self._asking = asking
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=[attack], daemon=True)
            for attack in (self._reset, self._begin, self._post)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join(PATIENCE)

    def _run(self, attack: Callable[[Hostile], None]) -> None:
        held: deque[Hostile] = deque()
        answered = -1
        while not self._stopped.wait(0.01):
            if len(self._asking.answers) == answered:
                continue
            answered = len(self._asking.answers)
            with suppress(OSError):  # it was sent away, or nobody listens just now
                held.append(Hostile(self._port))
                attack(held[-1])
                self.made += 1
            while len(held) > 30:
                held.popleft().socket.close()
        for client in held:
            client.socket.close()

    def _reset(self, client: Hostile) -> None:
        for turn in range(250):
            cancel = frame(RST_STREAM, 0, 2 * turn + 1, bytes(4))
            if not client.send(get(2 * turn + 1) + cancel):
                break

    def _begin(self, client: Hostile) -> None:
        client.send(get(1)[:-1])

    def _post(self, client: Hostile) -> None:
        client.send(frame(HEADERS, END_HEADERS, 1, block(b"/", b"POST")) + frame(DATA, 0, 1, b"x"))


def test_restart_of_the_workers_under_attack_turns_nobody_away() -> None:
    arguments = [*WORKERS, "--timeout-graceful-shutdown", "2"]
    with serving(COUNTING, *arguments) as server, Asking(server.port, http2=True) as asking:
        until(lambda: len(set(asking.answers)) == 2, "an answer of each worker")
        old = set(asking.answers)
        with Attacking(server.port, asking) as attacking:
            until(lambda: attacking.made > 100, "the attacks")
            server.process.send_signal(signal.SIGHUP)
            asking.until_all_are_new(old, 50)

        assert asking.lost == []
        assert "Traceback" not in server.log


@pytest.mark.parametrize("http2", [False, True], ids=["HTTP/1.1", "HTTP/2"])
def test_reload_turns_nobody_away(tmp_path: Path, http2: bool) -> None:
    module = tmp_path / "counted.py"
    module.write_text("from tests.server.counting_app import app as app\n")
    arguments = ["--reload", "--reload-dir", str(tmp_path), "--no-access-log"]
    with (
        serving("counted:app", *arguments, folder=tmp_path) as server,
        Asking(server.port, http2) as asking,
    ):
        until(lambda: asking.answers, "an answer")
        old = set(asking.answers)

        def reloads() -> bool:
            module.touch()  # a change before uvicorn's first look is none
            return "Reloading" in server.log

        until(reloads, "the reload")
        asking.until_all_are_new(old, 20)

        assert asking.lost == []


def test_worker_that_is_killed_is_replaced_and_the_others_serve_on() -> None:
    with serving(COUNTING, *WORKERS) as server:
        with Asking(server.port, http2=False) as asking:
            until(lambda: len(set(asking.answers)) == 2, "an answer of each worker")
        victim, survivor = sorted(set(asking.answers))
        os.kill(int(victim), signal.SIGKILL)
        with Asking(server.port, http2=False) as asking:
            until(lambda: len({*asking.answers} - {victim}) == 2, "an answer of a third worker")

        assert survivor in asking.answers
        assert f"Child process [{victim.decode()}] died" in server.log
        # What the dead one had accepted is lost, and nothing else.
        assert len(asking.lost) <= 2


def test_stream_that_never_ends_is_cut_off_when_the_time_for_it_is_over() -> None:
    arguments = ["--timeout-graceful-shutdown", "1"]
    with serving("tests.server.slow_app:app", *arguments) as server, RawClient(server.port) as h2:
        h2.request(b"/slow", method=b"POST", end_stream=False)
        with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as h1:
            h1.sendall(b"POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n")
            until(lambda: server.log.count("in flight") == 2, "the requests")
            begun = time.monotonic()
            server.terminate()
            with suppress(ConnectionResetError):
                rest(h1)

            assert server.wait() == -signal.SIGTERM
            assert time.monotonic() - begun >= 1
