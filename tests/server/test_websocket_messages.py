"""Messages put together from frames."""

from __future__ import annotations

import pytest
from websockets.frames import Frame, Opcode

from headstart.server.websocket_messages import Message


def test_message_of_one_frame_is_whole() -> None:
    message = Message()

    assert message.add(Frame(Opcode.BINARY, b"abc")) == b"abc"
    assert message.add(Frame(Opcode.TEXT, "ä".encode())) == "ä"
    assert (message.begun, message.size) == (False, 0)


def test_fragments_are_joined_in_their_order() -> None:
    message = Message()
    parts = [b"a" * 2000, b"b", b"", b"c", b"d" * 3000, b"e"]
    message.add(Frame(Opcode.TEXT, parts[0], fin=False))
    for part in parts[1:]:
        assert message.add(Frame(Opcode.CONT, part, fin=False)) is None
    assert (message.begun, message.size) == (True, sum(map(len, parts)))

    assert message.add(Frame(Opcode.CONT, b"!")) == b"".join([*parts, b"!"]).decode()


def test_character_may_be_cut_in_two() -> None:
    message = Message()
    message.add(Frame(Opcode.TEXT, "ä".encode()[:1], fin=False))

    assert message.add(Frame(Opcode.CONT, "ä".encode()[1:])) == "ä"


def test_text_that_is_none_is_an_error() -> None:
    with pytest.raises(UnicodeDecodeError):
        Message().add(Frame(Opcode.TEXT, b"\xff"))
