"""Header sections of promises: the fields of a page's pushes are judged once for all its assets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.errors import LocalProtocolError
from headstart.reasons import Refusal
from headstart.wire.events import Fields
from headstart.wire.fields import valid_target
from headstart.wire.promises import PromiseHeads, promisable_target

SECRET: Fields = [(b"cookie", b"secret")]


def heads(headers: Fields, method: str = "GET", credentials: bool = False) -> PromiseHeads:
    """The sections of promises with these fields."""
    return PromiseHeads(method, b"https", b"a.test", headers, credentials=credentials)


def test_sections_differ_in_nothing_but_the_path() -> None:
    made = heads([(b"Accept", b"*/*")])

    first, second = made.of(b"/a"), made.of(b"/b")

    common = [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"a.test")]
    assert first.fields == [*common, (b":path", b"/a"), (b"accept", b"*/*")]
    assert second.fields == [*common, (b":path", b"/b"), (b"accept", b"*/*")]
    assert (first.target, first.authority, first.unfit) == (b"/a", b"a.test", None)


@pytest.mark.parametrize(
    ("headers", "method", "credentials", "refusal"),
    [
        ([], "HEAD", False, None),
        ([], "POST", False, Refusal.METHOD),
        ([], "", False, Refusal.METHOD),
        ([(b"range", b"bytes=0-1")], "GET", False, Refusal.FORBIDDEN_FIELD),
        (SECRET, "GET", False, Refusal.CREDENTIALS),
        (SECRET, "GET", True, None),
    ],
)
def test_section_says_why_it_may_not_be_promised(
    headers: Fields, method: str, credentials: bool, refusal: Refusal | None
) -> None:
    assert heads(headers, method, credentials).of(b"/").unfit is refusal


def test_field_that_cannot_be_sent_is_an_error() -> None:
    with pytest.raises(LocalProtocolError):
        heads([(b"x", b"a\r\nb")])


@given(st.binary(max_size=20) | st.integers(200, 300).map(lambda size: b"/" * size))
def test_targets_that_are_remembered_are_judged_as_others(target: bytes) -> None:
    for _ in range(2):
        assert promisable_target(target) == valid_target(target)
        assert heads([]).of(target).is_path == valid_target(target)
