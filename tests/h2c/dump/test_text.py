"""Frames as text and as JSON."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hpack import Encoder
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.h2c.dump.settings import FrameFilter
from headstart.h2c.dump.text import (
    HIDDEN,
    JsonWriter,
    Source,
    TextWriter,
    date_of,
    masked,
    text_of,
)
from headstart.wire.frames import Direction, Frame, FrameDecoder

SENT, RECEIVED = Direction.SENT, Direction.RECEIVED
PAINT = re.compile(r"\x1b\[[0-9;]+m")


def dump(frame: Frame, *, named: bool = False, color: bool = False) -> str:
    out: list[bytes] = []
    writer = TextWriter(out.append, FrameFilter(), color=color, named=named)
    source = Source(1, 0.0)
    writer.show(frame, source)
    writer.end(source)
    writer.close()
    return b"".join(out).decode("ascii")


def headers(*fields: tuple[bytes, bytes], direction: Direction = RECEIVED) -> Frame:
    return Frame(1.0, direction, "HEADERS", 1, 1, 10, headers=fields)


def test_a_sent_frame_has_its_stream_time_length_flags_and_fields() -> None:
    frame = Frame(
        0.0124,
        SENT,
        "HEADERS",
        1,
        1,
        23,
        (("END_STREAM", True), ("PADDED", False), ("0x40", True)),
        ((b":method", b"GET"), (b":path", b"/")),
        (("weight", "16"),),
    )

    assert dump(frame) == (
        "-> HEADERS(1) 0.012 s, 23 bytes\n"
        "    + END_STREAM\n"
        "    - PADDED\n"
        "    + 0x40\n"
        "    weight: 16\n"
        "    :method: GET\n"
        "    :path: /\n"
        "\n"
    )


def test_data_is_counted_and_nothing_is_said_to_be_empty() -> None:
    body = Frame(0.0, RECEIVED, "DATA", 0, 2, 22, details=(("padding", "3 bytes"),), data=b"x" * 18)
    one = Frame(0.0, RECEIVED, "DATA", 0, 2, 1, data=b"x")
    nothing = Frame(0.0, RECEIVED, "DATA", 0, 2)

    assert dump(body) == ("<- DATA(2) 0.000 s, 22 bytes\n    padding: 3 bytes\n    {18 bytes}\n\n")
    assert dump(one) == "<- DATA(2) 0.000 s, 1 byte\n    {1 byte}\n\n"
    assert dump(nothing) == "<- DATA(2) 0.000 s, 0 bytes\n    {empty}\n\n"


def test_a_preface_is_no_frame_and_has_no_stream() -> None:
    assert dump(Frame(0.0, SENT, "PREFACE", length=24)) == "-> PREFACE 0.000 s, 24 bytes\n\n"


def test_a_103_and_trailers_are_labelled_and_a_final_response_is_not() -> None:
    assert "informational 103\n" in dump(headers((b":status", b"103")))
    assert "<- HEADERS(1) 1.000 s, 10 bytes\n" in dump(headers((b":status", b"200")))
    assert "10 bytes, trailers\n" in dump(headers((b"grpc-status", b"0")))


def test_the_connection_is_named_where_there_are_several() -> None:
    assert dump(headers(), named=True).startswith("<- HEADERS(1) connection 1, 1.000 s")


def test_a_problem_is_shown() -> None:
    frame = Frame(0.0, RECEIVED, "PING", 6, length=3, problem="too short")

    assert "    ! too short\n" in dump(frame)


@pytest.mark.parametrize(
    "name", [b"authorization", b"cookie", b"set-cookie", b"proxy-authorization", b"Cookie"]
)
def test_secrets_can_be_masked(name: bytes) -> None:
    frame = headers((b"a", b"b"), (name, b"s3cret"))

    assert f"    {name.decode()}: s3cret\n" in dump(frame)
    assert f"    a: b\n    {name.decode()}: {{hidden}}\n" in dump(masked(frame))
    assert HIDDEN == b"{hidden}"


def test_a_frame_without_secrets_is_masked_as_it_is() -> None:
    frame = headers((b"a", b"b"))

    assert masked(frame) is frame


def test_color_changes_nothing_but_the_color() -> None:
    frame = Frame(
        0.0,
        SENT,
        "HEADERS",
        1,
        1,
        flags=(("END_STREAM", True), ("PADDED", False)),
        headers=((b"a", b"b"),),
        details=(("padding", "1"),),
        problem="bad",
    )

    painted = dump(frame, color=True)

    assert "\x1b[" in painted
    assert PAINT.sub("", painted) == dump(frame)


def test_hostile_bytes_in_a_field_reach_no_terminal() -> None:
    text = dump(headers((b"x\x1b", b"a\r\n\x7f\x9b2J\xe2\x80\xae")))

    assert "    x\\x1b: a\\x0d\\x0a\\x7f\\x9b2J\\xe2\\x80\\xae\n" in text


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.binary(max_size=20), st.binary(max_size=20)), max_size=3), st.binary())
def test_whatever_a_peer_sends_the_text_is_printable(
    fields: list[tuple[bytes, bytes]], rest: bytes
) -> None:
    block = Encoder().encode(fields)
    header = len(block).to_bytes(3, "big") + b"\x01\x04\x00\x00\x00\x01"
    decoder = FrameDecoder(RECEIVED, preface=False)
    frames = decoder.feed(header + block + rest, 0.0) + decoder.end(1.0)

    for frame in frames:
        text = dump(frame)
        assert text.isascii()
        assert text.replace("\n", "").isprintable()
        assert text.endswith("\n\n")


# The filter.


def frame_of(kind: str) -> Frame:
    return Frame(0.0, SENT, kind, 0)


def test_a_filtered_frame_writes_nothing() -> None:
    out: list[bytes] = []
    writer = TextWriter(out.append, FrameFilter.of(exclude=["PING"]))

    writer.show(frame_of("PING"), Source(1, 0.0))

    assert out == []


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


def test_a_filtered_frame_writes_no_object() -> None:
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
