"""The background process's half of the conversation."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from headstart.h2c import ipc
from headstart.h2c.daemon.conversation import (
    INPUT_SIZE,
    Conversation,
    MisunderstoodError,
    Request,
    octets,
    printable,
)


class Command:
    """The other side, by hand."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end

    async def send(self, kind: int, payload: bytes = b"") -> None:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(self._end, ipc.frame(kind, payload))

    async def receive(self) -> tuple[int, bytes]:
        loop = asyncio.get_running_loop()
        kind, size = ipc.read_header(await loop.sock_recv(self._end, ipc.HEADER_SIZE))
        return kind, await loop.sock_recv(self._end, size) if size else b""

    def hang_up(self) -> None:
        self._end.close()


Pair = tuple[Conversation, Command]


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    reader, writer = await asyncio.open_unix_connection(sock=ours)
    yield Conversation(reader, writer), Command(theirs)
    writer.close()
    theirs.close()


async def test_a_request_tells_version_folder_terminals_and_arguments(pair: Pair) -> None:
    conversation, command = pair
    await command.send(ipc.REQUEST, b"1.2\0/home\0o\0get\0/\xff\0")

    request = await conversation.request()

    assert request == Request("1.2", "/home", True, False, ("get", "/\udcff", ""))


@pytest.mark.parametrize(
    ("facts", "colour", "unicode", "width"),
    [
        ("oecuw120", True, True, 120),
        ("uw80", False, True, 80),
        ("cw", True, False, 0),
        ("wcu", False, False, 0),
        ("", False, False, 0),
    ],
)
def test_a_request_tells_what_a_terminal_shows(
    facts: str, colour: bool, unicode: bool, width: int
) -> None:
    request = Request.parse(f"1.2\0/home\0{facts}\0get".encode())

    assert (request.colour, request.unicode, request.width) == (colour, unicode, width)


@pytest.mark.parametrize(("kind", "payload"), [(ipc.INPUT, b"1\0/\0"), (ipc.REQUEST, b"1\0/")])
async def test_something_else_than_a_request_is_not_understood(
    kind: int, payload: bytes, pair: Pair
) -> None:
    conversation, command = pair
    await command.send(kind, payload)

    with pytest.raises(MisunderstoodError):
        await conversation.request()


async def test_a_frame_longer_than_any_is_not_understood(pair: Pair) -> None:
    conversation, command = pair
    await command.send(ipc.REQUEST, b"x" * 0)
    reader_sees = ipc.REQUEST.to_bytes(1, "big") + (ipc.MAX_PAYLOAD + 1).to_bytes(4, "big")
    with pytest.raises(MisunderstoodError):
        await conversation.request()
    await asyncio.get_running_loop().sock_sendall(command._end, reader_sees)

    with pytest.raises(MisunderstoodError):
        await conversation.request()


async def test_input_is_asked_for_before_it_comes(pair: Pair) -> None:
    conversation, command = pair
    listening = asyncio.ensure_future(conversation.listen())
    reading = asyncio.ensure_future(conversation.read())

    assert await command.receive() == (ipc.WANT, INPUT_SIZE.to_bytes(4, "big"))
    assert not reading.done()
    await command.send(ipc.INPUT, b"\0\xff")

    assert await reading == b"\0\xff"
    command.hang_up()
    await listening


async def test_files_are_opened_before_anything_goes_on(pair: Pair) -> None:
    conversation, command = pair
    listening = asyncio.ensure_future(conversation.listen())
    opening = asyncio.ensure_future(conversation.open_output("a\udcff"))

    assert await command.receive() == (ipc.OPEN_OUTPUT, b"a\xff")
    await command.send(ipc.READY)
    await opening

    opening = asyncio.ensure_future(conversation.open_picture("a.svg"))
    assert await command.receive() == (ipc.OPEN_PICTURE, b"a.svg")
    await command.send(ipc.READY)
    await opening

    sized = asyncio.ensure_future(conversation.open_input("file"))
    assert await command.receive() == (ipc.OPEN_INPUT, b"file")
    await command.send(ipc.READY, (1 << 40).to_bytes(8, "big"))
    assert await sized == 1 << 40

    sized = asyncio.ensure_future(conversation.open_input("-"))
    assert await command.receive() == (ipc.OPEN_INPUT, b"-")
    await command.send(ipc.READY)
    assert await sized is None

    sized = asyncio.ensure_future(conversation.open_input("-"))
    assert await command.receive() == (ipc.OPEN_INPUT, b"-")
    await command.send(ipc.INPUT, b"too early")
    with pytest.raises(MisunderstoodError):
        await sized
    command.hang_up()
    await listening


async def test_ctrl_c_is_told_where_it_was_asked_for(pair: Pair) -> None:
    conversation, command = pair
    listening = asyncio.ensure_future(conversation.listen())

    await conversation.be_patient()
    await conversation.progress("half")
    assert await command.receive() == (ipc.PATIENT, b"")
    assert await command.receive() == (ipc.PROGRESS, b"half")
    assert not conversation.interrupted.is_set()

    await command.send(ipc.INTERRUPT)
    await conversation.interrupted.wait()
    command.hang_up()
    await listening


async def test_output_waits_for_a_slow_command(pair: Pair) -> None:
    conversation, _ = pair

    async def write_a_lot() -> None:
        for _ in range(1000):
            await conversation.out(b"x" * 65536)

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(write_a_lot(), 0.2)


async def test_lines_messages_and_the_exit_code_are_frames(pair: Pair) -> None:
    conversation, command = pair

    await conversation.print("line")
    await conversation.say("a \x1b[31mred\n message")
    await conversation.exit(3)

    assert await command.receive() == (ipc.OUTPUT, b"line\n")
    assert await command.receive() == (ipc.MESSAGE, b"h2c: a \\x1b[31mred\\n message\n")
    assert await command.receive() == (ipc.EXIT, b"\x03")


def test_messages_keep_what_can_be_printed() -> None:
    assert printable("grün \u202e \udcff") == "grün \\u202e \\udcff"
    assert octets("\udcff") == b"\xff"
