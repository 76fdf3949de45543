"""Header sections of promises: what the next one may and may not take from the one before."""

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


def judge(
    heads: PromiseHeads,
    headers: Fields,
    method: str = "GET",
    scheme: bytes = b"https",
    authority: bytes = b"a.test",
    credentials: bool = False,
) -> Refusal | None:
    return heads.refusal(method, scheme, authority, headers, credentials)


def test_section_is_that_of_what_was_judged_last() -> None:
    heads = PromiseHeads()
    headers: Fields = [(b"Accept", b"*/*")]

    assert judge(heads, headers) is None
    first = heads.section(b"/a")
    assert judge(heads, headers) is None
    second = heads.section(b"/b")

    common = [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"a.test")]
    assert first == [*common, (b":path", b"/a"), (b"accept", b"*/*")]
    assert second == [*common, (b":path", b"/b"), (b"accept", b"*/*")]


def test_nothing_but_the_path_may_differ_without_another_judgement() -> None:
    heads = PromiseHeads()
    headers: Fields = []
    assert judge(heads, headers) is None

    assert judge(heads, headers, method="POST") is Refusal.METHOD
    assert judge(heads, headers, method="HEAD") is None
    assert heads.section(b"/")[0] == (b":method", b"HEAD")
    assert judge(heads, headers, method="HEAD", scheme=b"http") is None
    assert heads.section(b"/")[1] == (b":scheme", b"http")
    assert judge(heads, headers, method="HEAD", scheme=b"http", authority=b"b.test") is None
    assert heads.section(b"/")[2] == (b":authority", b"b.test")
    assert judge(heads, [(b"range", b"bytes=0-1")]) is Refusal.FORBIDDEN_FIELD


def test_credentials_of_one_push_are_no_leave_for_the_next() -> None:
    heads = PromiseHeads()

    assert judge(heads, SECRET, credentials=True) is None
    assert judge(heads, SECRET) is Refusal.CREDENTIALS
    assert judge(heads, SECRET, credentials=True) is None


def test_field_that_cannot_be_sent_is_an_error_each_time() -> None:
    heads = PromiseHeads()
    headers: Fields = [(b"x", b"a\r\nb")]

    for _ in range(2):
        with pytest.raises(LocalProtocolError):
            judge(heads, headers)


def test_first_judgement_is_one() -> None:
    assert judge(PromiseHeads(), [], method="") is Refusal.METHOD


@given(st.binary(max_size=20) | st.integers(200, 300).map(lambda size: b"/" * size))
def test_targets_that_are_remembered_are_judged_as_others(target: bytes) -> None:
    for _ in range(2):
        assert promisable_target(target) == valid_target(target)
