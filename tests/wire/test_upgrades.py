"""The HTTP/1.1 in front of HTTP/2."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.wire.upgrades import read_answer, read_request

ASKS = (
    b"POST /data?a=1 HTTP/1.1\r\nHost: example.org\r\nConnection: Upgrade, HTTP2-Settings\r\n"
    b"Upgrade: websocket, H2C\r\nHTTP2-Settings: AAEAAIAA\r\nContent-Length: 5\r\n"
    b"Cookie: a=b\r\n\r\n"
)
GRANTS = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"


def test_a_request_that_asks_has_its_fields_as_http2_would() -> None:
    found = read_request(ASKS)

    assert found is not None
    assert found.headers[:4] == (
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":authority", b"example.org"),
        (b":path", b"/data?a=1"),
    )
    assert (b"cookie", b"a=b") in found.headers
    assert b"host" not in dict(found.headers)
    assert found.settings.details == [("HEADER_TABLE_SIZE", "32768")]
    assert found.settings.header_table_size == 32768


@pytest.mark.parametrize("value", [b"", b"A", b"\xff", b"!"])
def test_settings_that_are_none_say_nothing_or_what_is_wrong(value: bytes) -> None:
    found = read_request(ASKS.replace(b"AAEAAIAA", value))

    assert found is not None
    assert found.settings.details == []


def test_settings_that_are_cut_off_are_a_problem() -> None:
    found = read_request(ASKS.replace(b"AAEAAIAA", b"AAEA"))

    assert found is not None
    assert found.settings.problem.startswith("Invalid SETTINGS body")


@pytest.mark.parametrize(
    "head",
    [
        ASKS.replace(b"websocket, H2C", b"websocket"),
        ASKS.replace(b"Upgrade: websocket, H2C\r\n", b""),
        ASKS.replace(b"HTTP/1.1\r", b"HTTQ/1.1\r"),
        b"\x16\x03\x01\r\n\r\n",
        b"",
    ],
)
def test_other_requests_are_none(head: bytes) -> None:
    assert read_request(head) is None


def test_an_answer_grants_it_with_101_and_h2c() -> None:
    found = read_answer(GRANTS)

    assert found is not None
    assert found.headers[0] == (b":status", b"101")
    assert (b"upgrade", b"h2c") in found.headers


@pytest.mark.parametrize(
    "head",
    [
        GRANTS.replace(b"h2c", b"websocket"),
        GRANTS.replace(b"101 Switching Protocols", b"200 OK"),
        GRANTS.replace(b"HTTP/1.1", b"HTTP/x"),
        b"",
    ],
)
def test_other_answers_are_none(head: bytes) -> None:
    assert read_answer(head) is None


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 200), st.binary(max_size=12))
def test_no_head_raises(at: int, changed: bytes) -> None:
    for head, read in ((ASKS, read_request), (GRANTS, read_answer)):
        found = read(head[:at] + changed + head[at + len(changed) :])

        assert found is None or found.headers[0][0] in (b":method", b":status")
