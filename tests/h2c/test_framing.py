"""How the command and the background process talk."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from headstart.h2c import framing


@given(st.integers(0, 255), st.binary(max_size=70_000))
def test_a_frame_says_its_kind_and_length(kind: int, payload: bytes) -> None:
    frame = framing.frame(kind, payload)

    assert framing.read_header(frame[: framing.HEADER_SIZE]) == (kind, len(payload))
    assert frame[framing.HEADER_SIZE :] == payload


def test_no_two_kinds_are_the_same() -> None:
    kinds = [
        framing.REQUEST,
        framing.INPUT,
        framing.READY,
        framing.OUTPUT,
        framing.MESSAGE,
        framing.OPEN_OUTPUT,
        framing.OPEN_INPUT,
        framing.WANT,
        framing.EXIT,
    ]

    assert len(set(kinds)) == len(kinds)
