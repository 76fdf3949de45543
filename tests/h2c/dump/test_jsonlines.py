"""Frames as JSON lines."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hpack import Encoder
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.h2c.dump.jsonlines import JsonWriter, date_of, text_of
from headstart.h2c.dump.text import FrameFilter, Source
from headstart.wire.frames import Direction, Frame, FrameDecoder

SENT, RECEIVED = Direction.SENT, Direction.RECEIVED


def lines(*frames: Frame, shown: FrameFilter | None = None) -> list[bytes]:
    out: list[bytes] = []
    writer = JsonWriter(out.append, shown or FrameFilter())
    source = Source(3, 1_000_000_000.5)
    for frame in frames:
        writer.show(frame, source)
    writer.end(source)
    writer.close()
    return out


def fields(frame: Frame) -> dict[str, Any]:
    (line,) = lines(frame)
    assert line.endswith(b"}\n")
    assert line.count(b"\n") == 1
    found: dict[str, Any] = json.loads(line)
    return found


def test_a_frame_has_its_place_its_flags_and_what_it_says() -> None:
    frame = Frame(
        0.25,
        SENT,
        "HEADERS",
        1,
        5,
        23,
        (("END_STREAM", True), ("PADDED", False)),
        ((b":method", b"GET"), (b"x", b"\xff")),
        (("weight", "16"),),
    )

    assert fields(frame) == {
        "connection": 3,
        "time": "2001-09-09T01:46:40.750000+00:00",
        "at": 0.25,
        "direction": "sent",
        "type": "HEADERS",
        "type_code": 1,
        "stream": 5,
        "length": 23,
        "flags": ["END_STREAM"],
        "headers": [[":method", "GET"], ["x", "\xff"]],
        "details": [["weight", "16"]],
    }


def test_a_103_is_told_apart_from_the_final_response_and_from_trailers() -> None:
    hint = fields(Frame(0.0, RECEIVED, "HEADERS", 1, 1, headers=((b":status", b"103"),)))
    final = fields(Frame(0.0, RECEIVED, "HEADERS", 1, 1, headers=((b":status", b"200"),)))
    trailers = fields(Frame(0.0, RECEIVED, "HEADERS", 1, 1, headers=((b"sum", b"1"),)))

    assert (hint["status"], hint["informational"]) == (103, True)
    assert final["status"] == 200
    assert "informational" not in final
    assert (trailers["trailers"], "status" in trailers) == (True, False)


def test_data_is_counted_and_problems_are_told() -> None:
    frame = Frame(0.0, RECEIVED, "DATA", 0, 1, 8, data=b"body", problem="odd")

    assert fields(frame)["data_length"] == 4
    assert fields(frame)["problem"] == "odd"


def test_what_is_no_frame_has_no_type_code() -> None:
    assert fields(Frame(0.0, SENT, "PREFACE", length=24))["type_code"] is None


def test_a_filtered_frame_writes_nothing() -> None:
    shown = FrameFilter.of(exclude=["PING"])

    assert lines(Frame(0.0, SENT, "PING", 6), shown=shown) == []


@pytest.mark.parametrize("moment", [0.0, 1e9, 1_764_000_000.123456])
def test_moments_sort_as_texts(moment: float) -> None:
    assert date_of(moment) < date_of(moment + 0.001)
    assert len(date_of(moment)) == len("2001-09-09T01:46:40.750000+00:00")


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.binary(max_size=20), st.binary(max_size=20)), max_size=3), st.binary())
def test_whatever_a_peer_sends_each_line_is_json_that_tells_the_bytes(
    sent: list[tuple[bytes, bytes]], rest: bytes
) -> None:
    block = Encoder().encode(sent)
    header = len(block).to_bytes(3, "big") + b"\x01\x04\x00\x00\x00\x01"
    decoder = FrameDecoder(RECEIVED, preface=False)
    frames = decoder.feed(header + block + rest, 0.0) + decoder.end(1.0)

    for frame, line in zip(frames, lines(*frames), strict=True):
        assert line.isascii()
        assert line.rstrip(b"\n").decode().isprintable()
        told = json.loads(line).get("headers", [])
        assert [(n.encode("latin-1"), v.encode("latin-1")) for n, v in told] == list(frame.headers)


@given(st.binary())
def test_each_octet_is_the_code_point_of_its_number(octets: bytes) -> None:
    assert [ord(character) for character in text_of(octets)] == list(octets)
