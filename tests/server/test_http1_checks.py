"""The framing of a request over HTTP/1.1 that the parser accepts and the server refuses."""

from __future__ import annotations

import pytest

from headstart.reasons import Closing
from headstart.server.http1_checks import Answer, Refused, framing_refusal
from headstart.wire.events import Fields

CHUNKED = (b"transfer-encoding", b"chunked")


@pytest.mark.parametrize(
    ("version", "fields"),
    [
        ("1.0", []),
        ("1.1", [CHUNKED]),
        ("1.1", [(b"transfer-encoding", b"CHUNKED")]),
        ("1.1", [(b"content-length", b"5")]),
    ],
)
def test_plain_framing_passes(version: str, fields: Fields) -> None:
    assert framing_refusal(version, fields, websocket=False) is None


@pytest.mark.parametrize(
    ("version", "fields"),
    [
        ("1.0", [CHUNKED]),
        ("1.1", [(b"transfer-encoding", b"gzip, chunked")]),
        ("1.1", [(b"transfer-encoding", b"gzip"), CHUNKED]),
        ("1.1", [CHUNKED, CHUNKED]),
        ("1.1", [(b"transfer-encoding", b"identity")]),
    ],
)
def test_coding_that_both_ends_may_read_differently_is_refused(
    version: str, fields: Fields
) -> None:
    refusal = framing_refusal(version, fields, websocket=False)

    assert refusal == Answer(400, "a transfer coding other than chunked", Closing.MALFORMED)


@pytest.mark.parametrize("fields", [[CHUNKED], [(b"content-length", b"010")]])
def test_websocket_that_begins_with_a_body_is_refused(fields: Fields) -> None:
    refusal = framing_refusal("1.1", fields, websocket=True)

    assert refusal is not None
    assert (refusal.status, refusal.reason) == (400, Closing.MALFORMED)


@pytest.mark.parametrize("length", [b"0", b"000"])
def test_websocket_may_say_that_it_has_no_body(length: bytes) -> None:
    assert framing_refusal("1.1", [(b"content-length", length)], websocket=True) is None


def test_refusal_stops_the_parser_with_its_answer() -> None:
    answer = Answer(400, "odd", Closing.MALFORMED)

    refused = Refused(answer)

    assert (refused.answer, str(refused)) == (answer, "odd")
