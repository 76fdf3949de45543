"""What payloads say: hand-made ones, and any bytes at all."""

from __future__ import annotations

import struct

import hyperframe.frame as hf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.wire.payloads import (
    KINDS,
    Content,
    flags_of,
    joined,
    kind_of,
    read_payload,
    visible,
)


def read(code: int, payload: bytes, *, flags: int = 0, stream: int = 0) -> Content:
    return read_payload(code, flags, stream, payload)


# What is unknown.


def test_a_type_has_its_name_and_an_unknown_one_its_number() -> None:
    assert kind_of(0x05) == "PUSH_PROMISE"
    assert kind_of(0xBE) == "UNKNOWN_0xbe"


def test_a_type_that_only_hyperframe_knows_has_its_payload(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Later(hf.Frame):
        def parse_body(self, data: memoryview) -> None:
            self.body_len = len(data)

    monkeypatch.setitem(hf.FRAMES, 0xBE, Later)

    assert read(0xBE, b"abc").data == b"abc"


def test_a_long_unknown_payload_is_shortened_where_it_is_shown() -> None:
    content = read(0xBE, bytes(25))

    assert content.details == [("payload", "00" * 24 + "...")]
    assert len(content.data) == 25


def test_unknown_flags_come_behind_those_the_type_defines() -> None:
    assert flags_of(0x06, 0x81) == (("ACK", True), ("0x80", True))


def test_settings_are_shown_in_order_unknown_ones_by_number_and_repeated_ones_twice() -> None:
    content = read(0x04, struct.pack(">HLHLHL", 0x4D44, 7, 4, 1, 4, 2))

    assert content.details == [
        ("0x4d44", "7"),
        ("INITIAL_WINDOW_SIZE", "1"),
        ("INITIAL_WINDOW_SIZE", "2"),
    ]


def test_the_largest_table_size_that_is_announced_counts() -> None:
    content = read(0x04, struct.pack(">HLHL", 1, 65536, 1, 4096))

    assert content.header_table_size == 65536


def test_an_unknown_error_is_shown_by_number() -> None:
    assert read(0x03, b"\x00\x00\x12\x34", stream=1).details == [("error", "0x00001234")]


# What the types say.


def test_padding_is_counted_and_is_no_data() -> None:
    content = read(0x00, b"\x03body\x00\x00\x00", flags=0x08, stream=1)

    assert (content.data, content.problem) == (b"body", "")
    assert content.details == [("padding", "3 bytes")]


def test_a_goaway_tells_its_debug_data_and_that_it_has_none() -> None:
    ended = [("last stream", "5"), ("error", "ENHANCE_YOUR_CALM")]

    assert read(0x07, bytes.fromhex("000000050000000b")).details == ended
    assert read(0x07, bytes.fromhex("000000050000000b") + b"calm\n").details == [
        *ended,
        ("debug data", "calm\\x0a"),
    ]


def test_extension_frames_are_read() -> None:
    assert read(0x0C, b"\x00\x03a:1\x00\x00").details == [("origin", "a:1"), ("origin", "")]
    assert read(0x10, b"\x80\x00\x00\x03u=1").details == [
        ("prioritized stream", "3"),
        ("field value", "u=1"),
    ]
    assert read(0x0A, b'\x00\x00h2=":1"', stream=1).details == [
        ("origin", ""),
        ("field value", 'h2=":1"'),
    ]


# What is wrong.


def test_what_cannot_be_read_is_a_problem_and_data() -> None:
    content = read(0x0C, b"\x00\x05abc", stream=1)

    assert content.problem == "belongs on stream 0; an origin is longer than the frame"
    assert content.data == b"\x00\x05abc"
    assert content.fragment is None


def test_problems_are_joined_and_those_that_are_empty_are_none() -> None:
    assert joined("", "one", "", "two") == "one; two"


@settings(max_examples=500, deadline=None)
@given(st.integers(0, 255), st.integers(0, 255), st.integers(0, 3), st.binary(max_size=64))
def test_no_payload_raises(code: int, flags: int, stream: int, payload: bytes) -> None:
    content = read(code, payload, flags=flags, stream=stream)

    assert kind_of(code) in KINDS or kind_of(code).startswith("UNKNOWN_0x")
    assert all(f"{name}{value}".isprintable() for name, value in content.details)
    assert content.problem.isprintable()


@given(st.binary())
def test_what_is_made_visible_is_printable_and_tells_the_bytes(data: bytes) -> None:
    text = visible(data)

    assert text.isascii()
    assert text.isprintable()
    assert text.encode().decode("unicode_escape").encode("latin-1") == data
