"""The header sections of a client's requests: checked once, and repeated with another path."""

from __future__ import annotations

import pytest

from headstart.errors import LocalProtocolError
from headstart.wire.asking import MOST_SENT, RequestSections, request_fields
from headstart.wire.fields import REMEMBERED_LENGTH
from tests.counting import calls_of

AUTHORITY = b"example.org"
HEADERS = [(b"user-agent", b"test"), (b"accept", b"*/*")]


def test_a_section_like_the_one_before_has_its_own_path() -> None:
    sections = RequestSections()

    first = sections.section("GET", b"https", AUTHORITY, b"/a", HEADERS)
    first.append((b"changed", b"by the caller"))
    second = sections.section("GET", b"https", AUTHORITY, b"/b", HEADERS)

    assert second == request_fields("GET", b"https", AUTHORITY, b"/b", HEADERS)


def test_a_section_like_the_one_before_is_not_examined_again() -> None:
    sections = RequestSections()
    sections.section("GET", b"https", AUTHORITY, b"/a", HEADERS)
    sections.section("GET", b"https", AUTHORITY, b"/b", HEADERS)

    anew = calls_of(lambda: request_fields("GET", b"https", AUTHORITY, b"/b", HEADERS))
    again = calls_of(lambda: sections.section("GET", b"https", AUTHORITY, b"/b", HEADERS))

    assert again < anew / 2


@pytest.mark.parametrize(
    ("method", "scheme", "authority", "target", "headers"),
    [
        ("get", b"https", AUTHORITY, b"/a", HEADERS),
        ("GET", b"https", b"user@host", b"/a", HEADERS),
        ("GET", b"https", AUTHORITY, b"a", HEADERS),
        ("GET", b"https", AUTHORITY, b"/a#b", HEADERS),
        ("GET", b"https", AUTHORITY, b"/" + b"a" * REMEMBERED_LENGTH + b" ", HEADERS),
        ("GET", b"https", AUTHORITY, b"/a", [*HEADERS, (b"x", b"1\r\ny: 2")]),
        ("GET", b"https", AUTHORITY, b"/a", [(b"user-agent", b"\x00"), *HEADERS[1:]]),
        ("GET", b"https", AUTHORITY, b"/" + b"a" * MOST_SENT, HEADERS),
    ],
)
def test_whatever_is_wrong_is_found_behind_a_section_that_was_fine(
    method: str, scheme: bytes, authority: bytes, target: bytes, headers: list[tuple[bytes, bytes]]
) -> None:
    sections = RequestSections()
    sections.section("GET", b"https", AUTHORITY, b"/a", HEADERS)

    with pytest.raises(LocalProtocolError):
        sections.section(method, scheme, authority, target, headers)


def test_headers_that_the_caller_has_changed_in_place_are_examined() -> None:
    sections, headers = RequestSections(), [*HEADERS]
    sections.section("GET", b"https", AUTHORITY, b"/a", headers)

    headers.append((b"X-New", b"1"))
    fields = sections.section("GET", b"https", AUTHORITY, b"/a", headers)
    headers[0] = (b"user-agent", b"a\nb")

    assert fields[-1] == (b"x-new", b"1")
    with pytest.raises(LocalProtocolError):
        sections.section("GET", b"https", AUTHORITY, b"/a", headers)


def test_headers_that_are_sent_otherwise_than_given_are_so_each_time() -> None:
    sections = RequestSections()
    headers = [(b"Accept", b" */* "), (b"Connection", b"close")]

    each = [sections.section("GET", b"https", AUTHORITY, b"/a", headers) for _ in range(3)]

    assert each == [[*each[0][:4], (b"accept", b"*/*")]] * 3


def test_a_section_near_the_limit_is_measured_with_each_path() -> None:
    sections = RequestSections()
    begin = sum(
        len(n) + len(v) + 32 for n, v in request_fields("GET", b"https", AUTHORITY, b"/", [])
    )
    headers = [(b"x", b"v" * (MOST_SENT - begin - 33))]
    sections.section("GET", b"https", AUTHORITY, b"/", headers)

    with pytest.raises(LocalProtocolError, match="65537 bytes"):
        sections.section("GET", b"https", AUTHORITY, b"/a", headers)
