"""A body as text and as lines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.client.text import LineDecoder, charset, decoder


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("", "utf-8"),
        ("text/html", "utf-8"),
        ("text/html; charset=ISO-8859-1", "iso-8859-1"),
        ('text/html; charset="Shift_JIS"', "shift_jis"),
    ],
)
def test_encoding_is_that_of_the_content_type(content_type: str, expected: str) -> None:
    assert charset(content_type) == expected


def test_encoding_that_python_lacks_is_read_as_utf_8() -> None:
    assert decoder("text/plain; charset=none-such").decode("é".encode()) == "é"


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        (b"", []),
        (b"a", ["a"]),
        (b"a\n", ["a"]),
        (b"a\n\nb", ["a", "", "b"]),
        (b"a\r\nb\rc\n", ["a", "b", "c"]),
        (b"a\r", ["a"]),
        ("{\u2028}\n\x0b\x1c\u0085\n".encode(), ["{\u2028}", "\x0b\x1c\u0085"]),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 100])
def test_lines_do_not_depend_on_how_the_body_is_cut(
    body: bytes, lines: list[str], size: int
) -> None:
    decoding = LineDecoder("text/plain")
    found = [
        line
        for start in range(0, len(body), size)
        for line in decoding.feed(body[start : start + size])
    ]

    assert found + decoding.end() == lines


@given(st.text(), st.integers(1, 5))
def test_any_text_has_the_lines_that_its_ends_make(text: str, size: int) -> None:
    body = text.encode("utf-8", "surrogatepass")
    decoding = LineDecoder("text/plain")
    found = [
        line
        for start in range(0, len(body), size)
        for line in decoding.feed(body[start : start + size])
    ]
    whole = body.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
    expected = whole.split("\n")

    assert found + decoding.end() == (expected if expected[-1] else expected[:-1])
