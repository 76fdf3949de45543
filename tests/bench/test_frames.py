"""Frames by hand are what an engine reads."""

from __future__ import annotations

import ngh2
import pytest

from bench.frames import (
    END_HEADERS,
    END_STREAM,
    HEADER,
    HEADERS,
    PING,
    PREFACE,
    frame,
    no_push,
    request_fields,
)


@pytest.mark.parametrize(("tls", "scheme"), [(False, b"http"), (True, b"https")])
def test_request_is_read_by_an_engine(tls: bool, scheme: bytes) -> None:
    server = ngh2.Connection(ngh2.Role.SERVER)
    server.initiate_connection()
    fields = request_fields(b"127.0.0.1:80", b"/page", tls=tls)

    server.receive_data(PREFACE + no_push() + frame(HEADERS, END_HEADERS | END_STREAM, 1, fields))
    events = list(server.events())

    (request,) = [event for event in events if isinstance(event, ngh2.RequestReceived)]
    assert dict(request.headers) == {
        b":method": b"GET",
        b":scheme": scheme,
        b":authority": b"127.0.0.1:80",
        b":path": b"/page",
    }


def test_header_s_parts_are_those_of_a_frame() -> None:
    high, low, kind, flags, stream_id = HEADER.unpack_from(frame(PING, 1, 7, b"x" * 70_000))

    assert (high << 8 | low, kind, flags, stream_id) == (70_000, PING, 1, 7)
