"""Paths as configurations compare them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.export.paths import as_regex, decoded, is_plain


@pytest.mark.parametrize(
    "path", ["/", "/a/b.html", "/caf%C3%A9", "/a\"'`\\${}<>|^[]", "/.well-known/x", "/..a/b.."]
)
def test_plain_paths(path: str) -> None:
    assert is_plain(path)


@pytest.mark.parametrize(
    "path",
    [
        *("", "a", "*", "//", "/a//b", "/.", "/..", "/./a", "/a/../b", "/%2e%2E/a", "/a/.%2e"),
        *("/a b", "/a?b", "/a#b", "/%", "/%4", "/%zz", "/\u00e9", "/a\n", "/a\x7f", "/\udc80"),
    ],
)
def test_other_paths(path: str) -> None:
    assert not is_plain(path)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/a%20b%22", '/a b"'),
        ("/caf%C3%A9", "/caf\u00e9"),
        ("/a%2Fb", None),
        ("/a%5cb", None),
        ("/a%0Ab", None),
        ("/a%FF", None),
        ("/a%E2%80%A8", None),
        ("/a%00", None),
    ],
)
def test_decoded_path_is_text_and_no_other_resource(path: str, text: str | None) -> None:
    assert decoded(path) == text


@given(st.text())
def test_expression_matches_the_text_alone_and_has_no_syntax(text: str) -> None:
    path = text.encode(errors="replace").decode()

    expression = as_regex(path, octets=True)
    as_text = as_regex(path, octets=False)

    assert re.fullmatch(r"[A-Za-z0-9/_\\-]*", expression)
    assert re.fullmatch(expression.encode(), path.encode())
    assert not re.fullmatch(expression.encode(), path.encode() + b"x")
    assert re.fullmatch(as_text, path)
    assert re.fullmatch(r"[A-Za-z0-9/_\\-]*", re.sub(r"[^\x00-\x7f]", "", as_text))
