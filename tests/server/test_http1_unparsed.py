"""Bytes of one HTTP/1.1 connection that wait to be parsed, a little at a time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from headstart.server.http1_unparsed import Unparsed


def unparsed(*pieces: bytes) -> Unparsed:
    waiting = Unparsed()
    for piece in pieces:
        waiting.add(piece)
    return waiting


def test_few_bytes_are_taken_at_once() -> None:
    waiting = unparsed(b"GET ", b"/")

    assert waiting.size == 5
    assert waiting.take(in_body=False) == b"GET /"
    assert (waiting.size, waiting.take(in_body=False)) == (0, b"")


def test_more_of_a_body_is_taken_than_of_header_sections() -> None:
    data = b"x" * 40_000

    head, body = unparsed(data).take(in_body=False), unparsed(data).take(in_body=True)

    assert len(head) < len(body) < len(data)


def test_bytes_that_come_meanwhile_stand_behind_those_that_wait() -> None:
    waiting = unparsed(b"a" * 5000)
    taken = waiting.take(in_body=False)

    waiting.add(b"b")

    assert waiting.size == 5001 - len(taken)
    assert waiting.take_all() == b"a" * (5000 - len(taken)) + b"b"
    assert (waiting.size, waiting.take_all()) == (0, b"")


STEPS = st.lists(st.one_of(st.binary(max_size=9000), st.booleans(), st.none()), max_size=12)


@given(STEPS)
def test_every_byte_comes_out_once_and_in_order(steps: list[bytes | bool | None]) -> None:
    waiting, came, taken = Unparsed(), b"", b""
    for step in steps:
        if isinstance(step, bytes):
            waiting.add(step)
            came += step
        elif step is None:
            taken += waiting.take_all()
        else:
            taken += waiting.take(in_body=step)
        assert waiting.size == len(came) - len(taken)

    assert taken + waiting.take_all() == came
