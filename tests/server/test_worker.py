"""What all connections share: what happens when memory is short, and the clock that looks."""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from ngh2 import ErrorCode, Setting
from uvicorn.server import ServerState

from headstart.config import ServerOptions
from headstart.reasons import Closing
from headstart.server import memory as memory_module
from headstart.server import worker as worker_module
from headstart.server.run import Config
from headstart.server.worker import Worker
from tests.server.apps import Held, Receive, Scope, Send, answer, hello, lifespan
from tests.server.live import PATIENCE, LiveServer, running, serving, until
from tests.server.raw import RawClient
from tests.server.test_http1 import FIELD, GOOD, LAST, POST, connected, rest, statuses, told

MB = 1_000_000


def worker_of(server: LiveServer) -> Worker:
    return Worker.of(server.server.server_state, server.server.config, server.server.loop)


class Memory:
    """What the server takes for its use of memory."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.used = 0
        monkeypatch.setattr(worker_module, "used_memory", lambda: self.used)
        monkeypatch.setattr(worker_module, "used_blocks", lambda: 0)


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[Memory]:
    monkeypatch.setattr(worker_module, "_SECOND", 0.01)
    # A worker short of memory collects garbage, here every few milliseconds: not that of all tests
    # before, which can take a second each time.
    gc.freeze()
    yield Memory(monkeypatch)
    gc.unfreeze()


OPTIONS = ServerOptions(max_memory=800 * MB)


def test_short_memory_refuses_streams_and_requests_and_comes_back(memory: Memory) -> None:
    with running(hello, OPTIONS) as server, RawClient(server.port) as client:
        assert client.get(b"/x").status == 200
        worker = worker_of(server)
        memory.used = 701 * MB
        until(lambda: worker.shedding, "the shedding")

        assert client.get(b"/x").reset == ErrorCode.REFUSED_STREAM
        assert statuses(told(server, GOOD)) == [503]
        with RawClient(server.port) as other:
            assert other.get(b"/x").reset == ErrorCode.REFUSED_STREAM
        assert worker.counters.requests[Closing.MEMORY] == 2
        assert worker.counters.connections[Closing.MEMORY] == 1
        memory.used = 600 * MB
        until(lambda: not worker.shedding, "the end of it")
        assert client.get(b"/x").status == 200
        assert statuses(told(server, LAST)) == [200]


def test_streams_under_way_are_served_when_memory_gets_short(memory: Memory) -> None:
    gate = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await lifespan(receive, send)
        await gate.wait()
        return await answer(send, b"after all")

    with running(app, OPTIONS) as server, RawClient(server.port) as client:
        stream_id = client.request()
        client.settle()
        memory.used = 701 * MB
        until(lambda: worker_of(server).shedding, "the shedding")
        server.call(gate.set)

        assert client.response(stream_id).body == b"after all"


def test_shorter_memory_lets_nobody_in_and_cuts_off_who_holds_the_most(memory: Memory) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await lifespan(receive, send)
        size = 5 * MB if scope["path"] == "/large" else 5
        return await answer(send, bytes(size))

    closed: dict[int, int] = {Setting.INITIAL_WINDOW_SIZE: 0}
    with (
        running(app, OPTIONS) as server,
        RawClient(server.port) as small,
        RawClient(server.port, closed) as large,
        connected(server) as unread,
    ):
        assert small.get().status == 200
        large.request(b"/large")
        large.settle()
        unread.sendall(GOOD.replace(b"/ok", b"/large"))
        worker = worker_of(server)
        until(lambda: sum(c.held() > 200_000 for c in worker.sheddable) == 2, "what they hold")
        memory.used = 801 * MB
        until(lambda: worker.counters.connections[Closing.MEMORY] >= 2, "the cut")

        large.until_closed()
        assert len(all_of(unread)) < 5 * MB
        with connected(server) as late:
            assert all_of(late) == b""
        memory.used = 0
        until(lambda: not worker.shedding, "the end of it")
        assert small.get().status == 200


def all_of(client: socket.socket) -> bytes:
    """What comes until the connection ends, one way or another."""
    data = b""
    with suppress(ConnectionResetError):
        while part := client.recv(1 << 20):
            data += part
    return data


def test_request_bodies_that_nobody_reads_are_held_too() -> None:
    gate = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await lifespan(receive, send)
        await gate.wait()
        return await answer(send)

    with (
        running(app) as server,
        RawClient(server.port) as two,
        connected(server) as one,
    ):
        two.request(method=b"POST", body=bytes(60_000), end_stream=False)
        one.sendall(POST + b"Content-Length: 60000\r\n\r\n" + bytes(60_000))
        worker = worker_of(server)

        until(lambda: _is_each_held(worker, 60_000), "the bodies")
        server.call(gate.set)


def _is_each_held(worker: Worker, size: int) -> bool:
    """Whether both connections hold so much, and a call."""
    held = [connection.held() - size for connection in worker.sheddable]
    return len(held) == 2 and all(4096 < rest < 5000 for rest in held)


def test_fields_of_requests_that_wait_are_held_too() -> None:
    held = Held()
    fields = [(b"x-large", b"a" * 10_000)]
    with (
        running(held) as server,
        RawClient(server.port) as two,
        connected(server) as one,
    ):
        two.request(headers=fields)
        two.request(headers=fields)
        one.sendall((FIELD % b"X-Large: %s" % (b"a" * 10_000)) * 2)
        worker = worker_of(server)

        until(
            lambda: [c.held() > 28_000 for c in worker.sheddable] == [True, True],
            "what they hold",
        )
        held.gate.open()
        until(lambda: [c.held() for c in worker.sheddable] == [0, 0], "the answers")


def test_whoever_keeps_memory_short_is_cut_off_after_a_while(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "_LONGEST_SHEDDING", 0.05)
    monkeypatch.setattr(worker_module, "_WORTH_CUTTING_OFF", 10_000)
    held = Held()
    with (
        running(held, OPTIONS) as server,
        RawClient(server.port) as holder,
        RawClient(server.port) as small,
    ):
        holder.request(headers=[(b"x-large", b"a" * 10_000)])
        small.request()
        until(lambda: held.waiting == 2, "the requests")
        worker = worker_of(server)
        memory.used = int(worker._memory.recovered_mark) + 44_000_000
        until(lambda: worker.shedding, "the shedding")
        shed_at = worker.now
        until(lambda: worker.now > shed_at + 0.2, "a while in which cutting off would not help")
        assert worker.counters.connections[Closing.MEMORY] == 0
        memory.used = int(worker._memory.recovered_mark) + 10_000

        holder.until_closed()
        memory.used = 0
        held.gate.open()
        assert small.response(1).status == 200


def test_twice_as_many_are_cut_off_where_that_did_not_help(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "_LONGEST_SHEDDING", 0.05)
    monkeypatch.setattr(worker_module, "_WORTH_CUTTING_OFF", 10_000)
    monkeypatch.setattr(memory_module, "_RECOVERED", 0.99999)  # 7 KB between the marks
    held = Held()
    with running(held, OPTIONS) as server, ExitStack() as stack:
        clients = [stack.enter_context(RawClient(server.port)) for _ in range(3)]
        for client in clients:
            client.request(headers=[(b"x-large", b"a" * 10_000)])
        until(lambda: held.waiting == 3, "the requests")
        worker = worker_of(server)
        memory.used = 701 * MB
        until(lambda: worker.shedding, "the shedding")
        memory.used = int(worker._memory.recovered_mark) + 3_000
        for client in clients:
            client.until_closed()

        assert worker.counters.connections[Closing.MEMORY] == 3
        assert worker._cuts == 2
        memory.used = 0
        until(lambda: not worker.shedding, "the recovery")
        assert worker._cuts == 0
        held.gate.open()


class _Broken:
    """A connection whose check fails."""

    looks = aborts = 0

    def second_passed(self, now: float) -> None:
        self.looks += 1
        raise RuntimeError("broken")

    def abort(self) -> None:
        self.aborts += 1
        raise RuntimeError("broken, too")


def test_connection_whose_check_fails_is_ended_and_ends_no_other(
    memory: Memory, caplog: pytest.LogCaptureFixture
) -> None:
    broken, other = _Broken(), _Broken()
    with running(hello, ServerOptions(header_timeout=0.1)) as server:
        worker = worker_of(server)
        server.call(lambda: worker.watched.update({broken, other}))
        server.call(worker.wake)
        with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as slow:
            slow.sendall(b"GET / HTTP/1.1\r\n")
            assert statuses(rest(slow)) == [408]

    assert [broken.looks, broken.aborts, other.looks, other.aborts] == [1, 1, 1, 1]
    assert caplog.text.count("it is ended") == 2


def test_check_of_the_worker_that_goes_on_failing_is_logged_once(
    memory: Memory, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    looks = 0

    def fail(self: Worker, used: int, now: float) -> None:
        nonlocal looks
        looks += 1
        raise RuntimeError("broken")

    monkeypatch.setattr(Worker, "_look_at_memory", fail)
    with (
        running(hello) as server,
        socket.create_connection(("127.0.0.1", server.port), PATIENCE),
    ):
        until(lambda: looks > 5, "several looks")

    assert caplog.text.count("RuntimeError: broken") == 1


def test_process_that_runs_out_of_memory_sheds_and_recovers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole of it, with real memory: held by the application until a file is there."""
    freed = tmp_path / "freed"
    monkeypatch.setenv("HOARD_UNTIL", str(freed))
    arguments = ["--max-memory", str(400 * MB), "--no-learn"]
    with serving("tests.server.hoarding_app:app", *arguments) as server:
        with RawClient(server.port) as client:
            hoard = client.request(b"/hoard?330")
            client.until(lambda: client.responses[hoard].body == b"held")
            until(lambda: client.get(b"/x").reset == ErrorCode.REFUSED_STREAM, "the shedding")
            with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as other:
                other.sendall(GOOD)
                assert statuses(rest(other)) == [503]
            freed.touch()
            assert client.response(hoard).body == b"held and freed"
            until(lambda: client.get(b"/x").body == b"served", "the recovery")

        until(lambda: "no new requests" in server.log, "the first line")
        until(lambda: "requests and connections are taken again" in server.log, "the last line")


async def test_default_is_a_part_of_the_machine() -> None:
    config = Config(hello, workers=4, log_config=None)
    config.load()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker_module, "default_most", lambda workers: 1000 // workers)
        worker = Worker.of(ServerState(), config, asyncio.get_running_loop())

    assert worker._memory.first_mark == 250 * 7 / 8


def test_worker_looks_at_the_clock_only_while_there_are_connections() -> None:
    with running(hello, ServerOptions(stall_timeout=0.04)) as server:
        with RawClient(server.port) as client:
            client.get()
            worker = worker_of(server)
            first = worker.now
            until(lambda: worker.now > first, "a look")
        until(lambda: worker._timer is None, "the last look")
        assert statuses(told(server, LAST)) == [200]
