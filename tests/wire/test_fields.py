"""Which requests, responses and fields are well-formed."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.config import WireLimits
from headstart.errors import LocalProtocolError
from headstart.reasons import Refusal
from headstart.wire import fields
from headstart.wire.events import RequestReceived, RequestRefused
from headstart.wire.fields import (
    checked_fields,
    informational_fields,
    promise_refusal,
    read_request,
    response_fields,
    valid_target,
)

LIMITS = WireLimits()


def read(*headers: tuple[bytes, bytes], **pseudo: bytes) -> RequestReceived | RequestRefused:
    right = {"method": b"GET", "scheme": b"https", "authority": b"a.test", "path": b"/"} | pseudo
    section = tuple((b":" + name.encode(), value) for name, value in right.items() if value)
    return read_request(1, section + headers, True, LIMITS)


def reason(answer: RequestReceived | RequestRefused) -> tuple[int, str]:
    assert isinstance(answer, RequestRefused)
    return answer.status, answer.reason


@pytest.mark.parametrize(
    ("pseudo", "why"),
    [
        ({"method": b"get"}, "malformed method"),
        ({"method": b"G T"}, "malformed method"),
        ({"method": b"CONNECT"}, "CONNECT is not supported"),
        ({"method": b"\xff"}, "malformed method"),
        ({"scheme": b"ftp"}, "scheme is neither http nor https"),
        ({"path": b"/a#b"}, "malformed path"),
        ({"path": b"/\xc3\xa4"}, "malformed path"),
        ({"path": b"a"}, "malformed path"),
        ({"path": b"*"}, "malformed path"),
        ({"path": b"http://a.test/"}, "malformed path"),
        ({"authority": b"a.test,b.test"}, "malformed or missing authority"),
        ({"authority": b"user@a.test"}, "malformed or missing authority"),
        ({"authority": b"a.test/x"}, "malformed or missing authority"),
        ({"authority": b""}, "malformed or missing authority"),
    ],
)
def test_malformed_request_is_answered_400(pseudo: dict[str, bytes], why: str) -> None:
    assert reason(read(**pseudo)) == (400, why)


@pytest.mark.parametrize(
    "headers",
    [
        [(b"host", b"b.test")],
        [(b"host", b"a.test"), (b"host", b"a.test")],
    ],
)
def test_host_that_contradicts_the_authority_is_answered_400(
    headers: list[tuple[bytes, bytes]],
) -> None:
    assert reason(read(*headers)) == (400, "Host contradicts :authority")


@pytest.mark.parametrize("name", [b"content_length", b"transfer_encoding", b"content_type"])
def test_field_that_would_shadow_another_in_a_wsgi_environment_is_answered_400(
    name: bytes,
) -> None:
    assert reason(read((name, b"1"))) == (400, "a field that shadows another")


def test_connect_without_scheme_and_path_is_answered_400() -> None:
    section = ((b":method", b"CONNECT"), (b":authority", b"a.test:443"), (b"x", b"y"))

    assert reason(read_request(1, section, False, LIMITS)) == (400, "CONNECT is not supported")


def test_asterisk_is_a_target_of_options() -> None:
    answer = read(method=b"OPTIONS", path=b"*")

    assert isinstance(answer, RequestReceived)
    assert answer.target == b"*"


def test_method_that_nobody_registered_is_let_through() -> None:
    answer = read(method=b"M-SEARCH")

    assert isinstance(answer, RequestReceived)
    assert answer.method == "M-SEARCH"


def test_host_field_stands_in_for_a_missing_authority() -> None:
    answer = read((b"x", b"1"), (b"host", b"b.test"), authority=b"")

    assert isinstance(answer, RequestReceived)
    assert answer.authority == b"b.test"
    assert answer.headers == [(b"host", b"b.test"), (b"x", b"1")]


@given(
    st.lists(
        st.tuples(
            st.sampled_from([b"host", b"cookie", b"x", b"content_length", b"te"]), st.binary()
        )
    ),
    st.fixed_dictionaries(
        {},
        optional={
            "method": st.binary(max_size=9),
            "scheme": st.sampled_from([b"http", b"https", b"x"]),
            "authority": st.binary(max_size=20),
            "path": st.binary(max_size=20),
        },
    ),
)
def test_whatever_comes_an_application_sees_only_what_is_well_formed(
    headers: list[tuple[bytes, bytes]], pseudo: dict[str, bytes]
) -> None:
    answer = read(
        *headers, **{"method": b"GET", "path": b"/"} | {k: v for k, v in pseudo.items() if v}
    )

    if isinstance(answer, RequestReceived):
        assert re.fullmatch(r"[A-Z][A-Z0-9_-]*", answer.method)
        assert re.fullmatch(rb"/[\x21-\x7e]*|\*", answer.target)
        assert b"#" not in answer.target
        assert [name for name, _ in answer.headers].count(b"host") == 1
        assert [name for name, _ in answer.headers].count(b"cookie") <= 1
        assert answer.headers[0] == (b"host", answer.authority)
    else:
        assert answer.status in (400, 414, 431)


@pytest.mark.parametrize(
    "value", [b"a\r\nb", b"a\nb", b"a\0b", b"\x7f", b" a", b"a\t", b"a\x1b[0m"]
)
def test_value_that_would_break_a_message_is_an_error_of_ours(value: bytes) -> None:
    with pytest.raises(LocalProtocolError, match="a character that HTTP forbids"):
        checked_fields([(b"x", value)], [])


@pytest.mark.parametrize("name", [b"", b"a b", b"a:", b":status", b"a\r\n", b"\xc3"])
def test_name_that_is_no_token_is_an_error_of_ours(name: bytes) -> None:
    with pytest.raises(LocalProtocolError, match="is no field name"):
        checked_fields([(name, b"x")], [])


def test_connection_specific_fields_are_dropped_and_names_are_lower_case() -> None:
    sent = checked_fields(
        [(b"Connection", b"keep-alive"), (b"Transfer-Encoding", b"chunked"), (b"X-A", b"1")], []
    )

    assert sent == [(b"x-a", b"1")]


def test_memory_of_names_is_bounded() -> None:
    for number in range(3000):
        checked_fields([(b"x-%d" % number, b"")], [])

    assert len(fields._names) <= 1024


@pytest.mark.parametrize("status", [100, 101, 199, 600, 0, "200", 200.0, True])
def test_only_final_statuses_answer_a_request(status: int) -> None:
    with pytest.raises(LocalProtocolError):
        response_fields(status, [])


def test_defaults_stand_before_the_applications_own_fields() -> None:
    sent = response_fields(200, [(b"A", b"1")], [(b"server", b"headstart")])

    assert sent == [(b":status", b"200"), (b"server", b"headstart"), (b"a", b"1")]


def test_switching_protocols_does_not_exist_in_http_2() -> None:
    with pytest.raises(LocalProtocolError):
        informational_fields(101, [])


@given(st.text(max_size=8) | st.sampled_from(["GET", "HEAD"]))
def test_what_may_be_promised_is_a_get_or_head(method: str) -> None:
    refusal = promise_refusal(method, [], False)

    assert (refusal is None) == (method in ("GET", "HEAD"))


@given(st.binary(max_size=30))
def test_target_is_an_absolute_path_of_printable_ascii_without_fragment(target: bytes) -> None:
    assert valid_target(target) == (re.fullmatch(rb'/[!"$-~]*', target) is not None)


def test_referer_and_accept_may_be_promised() -> None:
    headers = [(b"referer", b"https://a.test/"), (b"accept", b"*/*")]

    assert promise_refusal("GET", headers, False) is None


def test_conditions_may_not_be_promised() -> None:
    refusal = promise_refusal("GET", [(b"if-modified-since", b"x")], True)

    assert refusal is Refusal.FORBIDDEN_FIELD
