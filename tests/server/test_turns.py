"""The phases of a turn: all read, then all act, then all write."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from uvicorn.server import ServerState

from headstart.config import ServerOptions
from headstart.server.http2 import Http2ServerConnection
from headstart.server.run import Config
from headstart.server.turns import MOST_WAITING, PendingWrite, Turns
from tests.clock import ClockLoop
from tests.counting import calls_of
from tests.fuzzing.memory import Socket
from tests.server.apps import Receive, Scope, Send, answer, read_all
from tests.server.hostile import ACK, HEADERS, PREFACE, SETTINGS, WHOLE, frame, get
from tests.server.live import PATIENCE, running, until
from tests.server.raw import RawClient


@dataclass(eq=False)
class Connection:
    """Notes when it acts and writes, and fails where it is told to."""

    name: str
    turns: Turns
    told: list[tuple[str, str, bytes]]
    fails: bool = False
    fails_late: bool = False
    aborted: bool = False
    held: list[bytes] = field(default_factory=list)

    def act(self, data: bytes) -> None:
        if self.fails:
            raise ValueError(self.name)
        self.told.append(("act", self.name, data))
        self.held.append(data)
        self.turns.write_soon(self)

    def write_out(self) -> None:
        if self.fails_late:
            raise ValueError(self.name)
        self.told.append(("write", self.name, b"".join(self.held)))
        self.held.clear()

    def abort(self) -> None:
        self.aborted = True


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    with closing(asyncio.new_event_loop()) as loop:
        yield loop


@pytest.fixture
def told() -> list[tuple[str, str, bytes]]:
    return []


def turn(loop: asyncio.AbstractEventLoop) -> None:
    """Let the loop do what is due now."""
    loop.run_until_complete(asyncio.sleep(0))


def test_all_act_on_what_arrived_before_any_writes(
    loop: asyncio.AbstractEventLoop, told: list[tuple[str, str, bytes]]
) -> None:
    turns = Turns(loop)
    one, other = (Connection(name, turns, told) for name in ("one", "other"))
    turns.arrived(one, b"1")
    turns.arrived(other, b"2")
    assert told == []  # the loop may still read for others

    turn(loop)

    assert told == [
        ("act", "one", b"1"),
        ("act", "other", b"2"),
        ("write", "one", b"1"),
        ("write", "other", b"2"),
    ]


def test_turns_follow_each_other(
    loop: asyncio.AbstractEventLoop, told: list[tuple[str, str, bytes]]
) -> None:
    turns = Turns(loop)
    one = Connection("one", turns, told)
    for data in (b"1", b"2", b"3"):
        turns.arrived(one, data)
        turn(loop)
    assert [said[2] for said in told if said[0] == "write"] == [b"1", b"2", b"3"]


def test_what_waits_is_bounded(
    loop: asyncio.AbstractEventLoop, told: list[tuple[str, str, bytes]]
) -> None:
    """A thousand connections whose kernel buffers are full are not all held in memory."""
    turns = Turns(loop)
    one, other = (Connection(name, turns, told) for name in ("one", "other"))
    turns.arrived(one, bytes(MOST_WAITING))
    assert told == []
    turns.arrived(other, b"x")
    assert [(step, name) for step, name, _ in told] == [
        ("act", "one"),
        ("act", "other"),
        ("write", "one"),
        ("write", "other"),
    ]
    turns.arrived(one, bytes(MOST_WAITING))  # and counting begins anew
    assert len(told) == 4


def test_pending_write_is_one_for_all_that_happens_in_a_turn(
    loop: asyncio.AbstractEventLoop, told: list[tuple[str, str, bytes]]
) -> None:
    turns = Turns(loop)
    one = Connection("one", turns, told)
    write = PendingWrite(turns, one)
    for data in (b"1", b"2"):
        one.held.append(data)
        write.soon()
    assert told == []

    turn(loop)

    assert told == [("write", "one", b"12")]


def test_pending_write_comes_at_the_end_of_a_block_that_fails_too(
    loop: asyncio.AbstractEventLoop, told: list[tuple[str, str, bytes]]
) -> None:
    turns = Turns(loop)
    one = Connection("one", turns, told)
    write = PendingWrite(turns, one)

    def fail() -> None:
        with write.once():
            one.held.append(b"1")
            write.soon()
            raise ValueError("in the block")

    with pytest.raises(ValueError, match="in the block"):
        fail()

    turn(loop)

    assert told == [("write", "one", b"1")]


def test_lost_connection_writes_no_more(
    loop: asyncio.AbstractEventLoop, told: list[tuple[str, str, bytes]]
) -> None:
    turns = Turns(loop)
    write = PendingWrite(turns, Connection("one", turns, told))
    write.detach()
    write.soon()
    write.now()

    turn(loop)

    assert told == []


@pytest.mark.parametrize("when", ["fails", "fails_late"], ids=["acting", "writing"])
def test_connection_that_fails_harms_no_other(
    when: str, loop: asyncio.AbstractEventLoop, told: list[tuple[str, str, bytes]]
) -> None:
    reported: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: reported.append(context))
    turns = Turns(loop)
    broken, whole = (Connection(name, turns, told) for name in ("broken", "whole"))
    setattr(broken, when, True)
    turns.arrived(broken, b"1")
    turns.arrived(whole, b"2")

    turn(loop)

    assert [said for said in told if said[1] == "whole"] == [
        ("act", "whole", b"2"),
        ("write", "whole", b"2"),
    ]
    assert broken.aborted
    assert not whole.aborted
    assert [str(context["exception"]) for context in reported] == ["broken"]
    assert not turns.acting  # the next turn begins as usual


def test_turns_go_on_behind_an_exception_that_ends_programs(
    loop: asyncio.AbstractEventLoop, told: list[tuple[str, str, bytes]]
) -> None:
    """An application that raises SystemExit; whoever runs the loop may go on with it."""

    class Exiting(Connection):
        def act(self, data: bytes) -> None:
            super().act(data)
            raise SystemExit(3)

    turns = Turns(loop)
    turns.arrived(Exiting("exiting", turns, told), b"1")
    with pytest.raises(SystemExit):
        turn(loop)

    turns.arrived(Connection("whole", turns, told), b"2")
    turn(loop)

    assert told[-2:] == [("act", "whole", b"2"), ("write", "whole", b"2")]


_STEPS = st.lists(
    st.tuples(
        st.integers(0, 4),
        st.sampled_from(["arrives", "fails", "fails_late", "ends", "turn"]),
        st.binary(max_size=5) | st.just(bytes(MOST_WAITING // 2)),
    ),
    max_size=40,
)


@given(_STEPS)
def test_each_byte_is_acted_on_once_in_order_whoever_fails(
    steps: list[tuple[int, str, bytes]],
) -> None:
    with closing(asyncio.new_event_loop()) as loop:
        loop.set_exception_handler(lambda _, context: None)
        told: list[tuple[str, str, bytes]] = []
        turns = Turns(loop)
        connections = [Connection(str(number), turns, told) for number in range(5)]
        sent: list[list[bytes]] = [[] for _ in connections]
        for number, step, data in steps:
            connection = connections[number]
            if step == "arrives":
                turns.arrived(connection, data)
                if not (connection.fails or connection.fails_late):
                    sent[number].append(data)
            elif step == "ends":
                turns.act()  # as `eof_received` does
            elif step == "turn":
                turn(loop)
            else:
                turns.act()
                setattr(connection, step, True)
        turn(loop)
        turn(loop)

        for number, connection in enumerate(connections):
            if not connection.fails:
                acted = [data for kind, name, data in told if (kind, name) == ("act", str(number))]
                assert acted[: len(sent[number])] == sent[number]
            if not (connection.fails or connection.fails_late):
                assert not connection.held
                assert not connection.aborted
        assert not turns.acting


def test_what_arrived_is_acted_on_before_its_end_is_told(
    loop: asyncio.AbstractEventLoop, told: list[tuple[str, str, bytes]]
) -> None:
    """`eof_received` may come in the turn that read the last bytes."""
    turns = Turns(loop)
    one = Connection("one", turns, told)
    turns.arrived(one, b"the last")
    turns.act()
    assert told == [("act", "one", b"the last"), ("write", "one", b"the last")]
    turn(loop)
    assert len(told) == 2


def test_writes_outside_of_a_turn_wait_for_the_loop(
    loop: asyncio.AbstractEventLoop, told: list[tuple[str, str, bytes]]
) -> None:
    turns = Turns(loop)
    turns.write_soon(Connection("one", turns, told))
    assert told == []
    turn(loop)
    assert told == [("write", "one", b"")]


def test_writes_outside_of_a_turn_are_one_callback_for_all_connections(
    loop: asyncio.AbstractEventLoop,
    told: list[tuple[str, str, bytes]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    turns = Turns(loop)
    scheduled: list[object] = []
    call_soon = loop.call_soon

    def counting(callback: Callable[[], object]) -> asyncio.Handle:
        scheduled.append(callback)
        return call_soon(callback)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "call_soon", counting)
        for name in ("one", "other"):
            turns.write_soon(Connection(name, turns, told))
    turn(loop)

    assert told == [("write", "one", b""), ("write", "other", b"")]
    assert len(scheduled) == 1


async def _echo(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["path"].encode()})


def test_calls_that_waited_all_answer_before_any_answer_is_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And while they wait, their connections have nothing to write, so none looks for it."""
    told: list[str] = []
    write_out = Http2ServerConnection.write_out

    def noted(self: Http2ServerConnection) -> None:
        told.append("written")
        write_out(self)

    monkeypatch.setattr(Http2ServerConnection, "write_out", noted)
    with closing(ClockLoop()) as loop:
        may_answer = loop.create_future()

        async def application(scope: Scope, receive: Receive, send: Send) -> None:
            await may_answer
            told.append(f"answers {scope['path']}")
            await _echo(scope, receive, send)

        config = Config(application, ServerOptions(), log_config=None, interface="asgi3")
        config.load()
        connections = [Http2ServerConnection(config, ServerState(), {}, loop) for _ in range(2)]
        sockets = [Socket(connection, loop) for connection in connections]
        for connection, transport in zip(connections, sockets, strict=True):
            connection.connection_made(transport)
            connection.data_received(PREFACE + frame(SETTINGS, 0, 0, b"") + frame(SETTINGS, ACK))
        turn(loop)
        told.clear()

        for number, connection in enumerate(connections):
            connection.data_received(get(1, b"/%d" % number))
        turn(loop)
        assert told == []
        may_answer.set_result(None)
        turn(loop)
        turn(loop)

        assert told == ["answers /0", "answers /1", "written", "written"]
        for connection in connections:
            connection.connection_lost(None)


def test_requests_of_one_turn_all_reach_the_application_before_any_answer_is_written() -> None:
    """As a loop has it that reads from two connections at once."""
    told: list[str] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        told.append(f"asked {scope['path']}")
        await _echo(scope, receive, send)

    class Noted(Socket):
        def write(self, data: bytes | bytearray | memoryview) -> None:
            if greeted:
                told.append("written")
            super().write(data)

    greeted = False
    with closing(ClockLoop()) as loop:
        config = Config(application, ServerOptions(), log_config=None, interface="asgi3")
        config.load()
        state = ServerState()
        connections = [Http2ServerConnection(config, state, {}, loop) for _ in range(2)]
        for connection in connections:
            connection.connection_made(Noted(connection, loop))
            connection.data_received(PREFACE + frame(SETTINGS, 0, 0, b"") + frame(SETTINGS, ACK))
        turn(loop)
        greeted = True
        for number, connection in enumerate(connections):
            connection.data_received(get(1, b"/%d" % number))
        turn(loop)

        assert told == ["asked /0", "asked /1", "written", "written"]
        for connection in connections:
            connection.connection_lost(None)


def test_a_segment_calls_few_functions_beside_those_of_its_requests() -> None:
    """Browsers' requests come one in a segment, so that each of these calls is paid for each."""
    with closing(ClockLoop()) as loop:
        config = Config(_echo, ServerOptions(), log_config=None, interface="asgi3")
        config.load()
        connection = Http2ServerConnection(config, ServerState(), {}, loop)
        socket = Socket(connection, loop)
        connection.connection_made(socket)
        connection.data_received(PREFACE + frame(SETTINGS, 0, 0, b"") + frame(SETTINGS, ACK))
        turn(loop)
        # `:method`, `:scheme`, `:path` and `:authority`, which refer to HPACK's tables from now on.
        connection.data_received(frame(HEADERS, WHOLE, 1, b"\x82\x86\x84\x41\x01a"))
        turn(loop)
        asked = iter(range(3, 100, 2))

        def answer(requests: int) -> None:
            fields = b"\x82\x86\x84\xbe"
            data = [frame(HEADERS, WHOLE, next(asked), fields) for _ in range(requests)]
            connection.data_received(b"".join(data))
            turn(loop)

        for _ in range(3):
            answer(1)
        empty = calls_of(lambda: turn(loop))
        alone, together = calls_of(lambda: answer(1)), calls_of(lambda: answer(2))

        of_a_segment = 2 * alone - together - empty
        assert of_a_segment <= 46
        connection.connection_lost(None)


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("way", ["reset", "closed", "aborted by the server"])
def test_connection_that_ends_while_its_bytes_wait_harms_no_other(
    way: str, tls: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Both connections' bytes come while the loop stands, so that they wait in one turn."""
    begun: list[str] = []
    over: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        begun.append(path)
        if path == "/left":
            await read_all(receive)
            assert (await receive())["type"] == "http.disconnect"
        else:
            if path == "/lasting" and way == "aborted by the server":
                connections: list[Any] = [*server.server.server_state.connections]
                for connection in connections:
                    if connection.get_extra_info("peername")[1] != scope["client"][1]:
                        connection.abort()
            await answer(send)
        over.append(path)

    stands, goes_on = threading.Event(), threading.Event()
    with (
        running(app, tls=tls, lifespan="off") as server,
        RawClient(server.port, tls=tls) as lasting,
        RawClient(server.port, tls=tls) as leaving,
    ):
        lasting.get()
        leaving.get()
        server.call(stands.set)
        server.call(partial(goes_on.wait, PATIENCE))
        assert stands.wait(PATIENCE)
        stream_id = lasting.request(b"/lasting")
        leaving.request(b"/left")
        if way == "reset":
            leaving.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if way in ("reset", "closed"):
            leaving.socket.close()
        goes_on.set()

        assert lasting.response(stream_id).status == 200
        until(lambda: len(server.server.server_state.connections) == 1, "the end of the other")
        until(lambda: sorted(begun) == sorted(over), "the end of its call")
        assert lasting.get().status == 200
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
