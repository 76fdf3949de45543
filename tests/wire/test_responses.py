"""Header sections of responses: what a repeated one may and may not take from the one before."""

from __future__ import annotations

from typing import Any

import pytest

from headstart.errors import LocalProtocolError
from headstart.wire.events import Fields
from headstart.wire.responses import (
    ResponseHead,
    ResponseHeads,
    is_unchangeable,
    response_head,
)
from tests.counting import calls_of

DEFAULTS: Fields = [(b"server", b"headstart")]


def test_same_answer_again_is_the_same_head() -> None:
    heads = ResponseHeads()

    first = heads.of(200, [(b"Content-Length", b"3")], DEFAULTS)
    second = heads.of(200, [(b"Content-Length", b"3")], DEFAULTS)

    assert second is first
    assert first.fields == [
        (b":status", b"200"),
        (b"server", b"headstart"),
        (b"content-length", b"3"),
    ]
    assert (first.content_length, first.bodiless) == (3, False)


def test_other_status_fields_or_defaults_make_another_head() -> None:
    heads = ResponseHeads()
    heads.of(200, [(b"a", b"b")], DEFAULTS)

    assert heads.of(404, [(b"a", b"b")], DEFAULTS).fields[0] == (b":status", b"404")
    assert heads.of(404, [(b"a", b"c")], DEFAULTS).fields[2] == (b"a", b"c")
    later: Fields = [(b"server", b"other")]
    assert heads.of(404, [(b"a", b"c")], later).fields[1] == (b"server", b"other")


def test_list_that_its_application_changes_is_looked_at_again() -> None:
    heads = ResponseHeads()
    headers = [(b"a", b"b")]
    heads.of(200, headers, DEFAULTS)

    headers.append((b"c", b"d"))

    assert heads.of(200, headers, DEFAULTS).fields[2:] == [(b"a", b"b"), (b"c", b"d")]


def test_pair_that_its_application_changes_is_looked_at_again() -> None:
    heads = ResponseHeads()
    pair = [b"a", b"b"]
    heads.of(200, [pair], DEFAULTS)

    pair[1] = b"c"

    assert heads.of(200, [pair], DEFAULTS).fields[2:] == [(b"a", b"c")]


def test_refused_fields_are_refused_each_time() -> None:
    heads = ResponseHeads()

    for _ in range(2):
        with pytest.raises(LocalProtocolError, match="a character that HTTP forbids"):
            heads.of(200, [(b"a", b"b\r\nc")], DEFAULTS)


def test_content_length_that_is_no_number_is_refused() -> None:
    with pytest.raises(LocalProtocolError, match="not a number"):
        ResponseHeads().of(200, [(b"content-length", b"1_0")], DEFAULTS)


@pytest.mark.parametrize("other", [b"5", b"6"])
def test_second_content_length_is_refused(other: bytes) -> None:
    for status in (200, 304):
        with pytest.raises(LocalProtocolError, match="given 2 times"):
            ResponseHeads().of(
                status, [(b"content-length", b"5"), (b"Content-Length", other)], DEFAULTS
            )


def test_205_has_no_content_and_says_so() -> None:
    head = ResponseHeads().of(205, [(b"content-length", b"4"), (b"x-a", b"b")], [])

    assert (head.bodiless, head.content_length) == (True, 0)
    assert head.fields == [(b":status", b"205"), (b"x-a", b"b"), (b"content-length", b"0")]


def test_204_and_304_have_no_content_and_204_no_length() -> None:
    heads = ResponseHeads()

    no_content = heads.of(204, [(b"content-length", b"0")], [])
    not_modified = heads.of(304, [(b"content-length", b"9")], [])

    assert (no_content.bodiless, no_content.fields) == (True, [(b":status", b"204")])
    assert (not_modified.bodiless, not_modified.content_length) == (True, 9)


def test_first_answer_may_have_no_fields_at_all() -> None:
    assert ResponseHeads().of(200, [], []).fields == [(b":status", b"200")]


def test_value_that_its_application_changes_in_place_is_looked_at_again() -> None:
    heads = ResponseHeads()
    value = bytearray(b"b")
    headers: Any = [(b"a", value)]
    heads.of(200, headers, DEFAULTS)

    value[:] = b"c"

    assert heads.of(200, headers, DEFAULTS).fields[2:] == [(b"a", b"c")]


def test_looking_for_what_may_change_calls_nothing_for_a_field() -> None:
    few, many = ([(b"x-field", b"%d" % number) for number in range(size)] for size in (1, 40))

    assert is_unchangeable(many)
    assert calls_of(lambda: is_unchangeable(many)) == calls_of(lambda: is_unchangeable(few))


def test_answers_that_take_turns_are_kept_side_by_side() -> None:
    made = []

    def make(status: object, headers: Any, defaults: Fields) -> ResponseHead:
        made.append(status)
        return response_head(status, headers, defaults)

    heads = ResponseHeads(make)

    found = {heads.of(status, [(b"a", b"b")], DEFAULTS) for status in (200, 404) * 3}

    assert made == [200, 404]
    assert len(found) == 2


def test_answers_that_differ_each_time_are_not_all_kept() -> None:
    heads = ResponseHeads()
    first = heads.of(200, [(b"x-id", b"first")], DEFAULTS)

    for number in range(100):
        heads.of(200, [(b"x-id", b"%d" % number)], DEFAULTS)

    assert heads.of(200, [(b"x-id", b"first")], DEFAULTS) is not first


def test_no_answer_with_earlier_defaults_is_used_again() -> None:
    heads = ResponseHeads()
    later: Fields = [(b"server", b"other")]
    for status in (200, 404):
        heads.of(status, [(b"a", b"b")], DEFAULTS)

    with pytest.raises(LocalProtocolError):
        heads.of(200, [(b"a", b"\n")], later)

    for status in (404, 200):
        assert heads.of(status, [(b"a", b"b")], later).fields[1] == later[0]


def test_status_that_is_not_a_number_is_refused_each_time() -> None:
    heads = ResponseHeads()
    status: Any = []

    for _ in range(2):
        with pytest.raises(LocalProtocolError):
            heads.of(status, [(b"a", b"b")], DEFAULTS)
