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
    split_absolute,
    valid_authority,
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
        ({"authority": b"["}, "malformed or missing authority"),
        ({"authority": b"[]"}, "malformed or missing authority"),
        ({"authority": b"[::1"}, "malformed or missing authority"),
        ({"authority": b"::1]"}, "malformed or missing authority"),
        ({"authority": b"::1"}, "malformed or missing authority"),
        ({"authority": b"[a.test]"}, "malformed or missing authority"),
        ({"authority": b"[::1]a"}, "malformed or missing authority"),
        ({"authority": b"a[::1]"}, "malformed or missing authority"),
        ({"authority": b"[::1]:80:80"}, "malformed or missing authority"),
        ({"authority": b"a.test:80:80"}, "malformed or missing authority"),
        ({"authority": b"a.test:http"}, "malformed or missing authority"),
        ({"authority": b":80"}, "malformed or missing authority"),
    ],
)
def test_malformed_request_is_answered_400(pseudo: dict[str, bytes], why: str) -> None:
    assert reason(read(**pseudo)) == (400, why)


@pytest.mark.parametrize(
    "authority",
    [
        *(b"a.test", b"a.test.", b"a.test:", b"a.test:8443", b"a_b-c~1", b"xn--strae-oqa.test"),
        *(b"127.0.0.1:80", b"[::1]", b"[::1]:8443", b"[2001:DB8::192.0.2.1]"),
        *(b"[fe80::1%25eth0]:80", b"a%20b", b"a!$&'()*+;=b"),
    ],
)
def test_host_with_or_without_a_port_is_an_authority(authority: bytes) -> None:
    answer = read(authority=authority)

    assert isinstance(answer, RequestReceived)
    assert answer.authority == authority
    assert valid_authority(authority)


@pytest.mark.parametrize(
    "headers",
    [
        [(b"host", b"b.test")],
        [(b"host", b"a.test"), (b"host", b"a.test")],
        [(b"host", b"a.test"), (b"host", b"A.test")],
        [(b"host", b"a.test:80")],
        [(b"host", b"a.test:8443")],
        [(b"host", b"a.test.")],
        [(b"host", b"")],
    ],
)
def test_host_that_contradicts_the_authority_is_answered_400(
    headers: list[tuple[bytes, bytes]],
) -> None:
    assert reason(read(*headers)) == (400, "Host contradicts :authority")


@pytest.mark.parametrize(
    ("scheme", "authority", "host"),
    [
        (b"https", b"a.test", b"A.Test"),
        (b"https", b"A.TEST", b"a.test"),
        (b"https", b"a.test", b"a.test:443"),
        (b"https", b"a.test:443", b"a.test"),
        (b"https", b"a.test", b"a.test:"),
        (b"http", b"a.test", b"A.test:80"),
        (b"http", b"[::1]:80", b"[::1]"),
        (b"https", b"a.test:8443", b"A.test:8443"),
    ],
)
def test_host_may_differ_from_the_authority_in_case_and_default_port(
    scheme: bytes, authority: bytes, host: bytes
) -> None:
    request = read((b"host", host), scheme=scheme, authority=authority)

    assert isinstance(request, RequestReceived)
    assert (request.authority, request.headers) == (authority, [(b"host", authority)])


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
    "value", [b"a\r\nb", b"a\nb", b"a\r\n", b"\na", b"a\0b", b"\x7f", b"a\x1b[0m"]
)
def test_value_that_would_break_a_message_is_an_error_of_ours(value: bytes) -> None:
    with pytest.raises(LocalProtocolError, match="a character that HTTP forbids"):
        checked_fields([(b"x", value)], [])


@pytest.mark.parametrize("value", [b" a b", b"a b\t", b"\t a b \t", bytearray(b"a b ")])
def test_white_space_around_a_value_is_left_out(value: bytes) -> None:
    assert checked_fields([(b"x", value), (b"y", b" \t")], []) == [(b"x", b"a b"), (b"y", b"")]


@pytest.mark.parametrize("name", [b"", b"a b", b"a:", b":status", b"a\r\n", b"\xc3"])
def test_name_that_is_no_token_is_an_error_of_ours(name: bytes) -> None:
    with pytest.raises(LocalProtocolError, match="is not a valid header name"):
        checked_fields([(name, b"x")], [])


def test_connection_specific_fields_are_dropped_and_names_are_lower_case() -> None:
    sent = checked_fields(
        [(b"Connection", b"keep-alive"), (b"Transfer-Encoding", b"chunked"), (b"X-A", b"1")], []
    )

    assert sent == [(b"x-a", b"1")]


def test_memory_of_names_is_bounded() -> None:
    kept = []
    for number in range(3000):
        checked_fields([(b"x-%d" % number, b"")], [])
        kept.append(len(fields._names))

    assert max(kept) == 1024


@pytest.mark.parametrize("cookies", [0, 1, 2, 150])
@pytest.mark.parametrize(("more", "why"), [(0, None), (1, (431, "too many fields"))])
def test_hundred_fields_pass_however_many_crumbs_one_of_them_is_cut_into(
    more: int, why: tuple[int, str] | None, cookies: int
) -> None:
    others = LIMITS.max_header_count + more - min(cookies, 1)

    answer = read(*[(b"a", b"")] * others, *[(b"cookie", b"a=1")] * cookies)

    assert (reason(answer) if why else None) == why


@pytest.mark.parametrize(("more", "why"), [(0, None), (1, (414, "target too long"))])
def test_target_may_be_as_long_as_its_limit(more: int, why: tuple[int, str] | None) -> None:
    answer = read(path=b"/" + b"a" * (LIMITS.max_target_size - 1 + more))

    assert (reason(answer) if why else None) == why


@pytest.mark.parametrize("crumbs", [1, 3])
@pytest.mark.parametrize(("more", "why"), [(0, None), (1, (431, "fields too large"))])
def test_fields_may_be_as_large_as_their_limit_with_a_cookie_joined(
    more: int, why: tuple[int, str] | None, crumbs: int
) -> None:
    """Each counts for 32 octets besides (RFC 9113, 6.5.2), and crumbs for the "; " between them."""
    pseudo = sum(map(len, [b":method", b"GET", b":scheme", b"https", b":authority", b"a.test"]))
    pseudo += len(b":path") + len(b"/") + 4 * 32
    cookie = len(b"cookie") + 32 + len(b"; ".join([b"a=1"] * crumbs))
    left = LIMITS.max_header_size - pseudo - cookie - len(b"x") - 32

    answer = read((b"x", b"v" * (left + more)), *[(b"cookie", b"a=1")] * crumbs)

    assert (reason(answer) if why else None) == why


@pytest.mark.parametrize("status", [100, 102, 199])
def test_informational_statuses_are_those_below_200(status: int) -> None:
    assert informational_fields(status, []) == [(b":status", b"%d" % status)]


@pytest.mark.parametrize("status", [99, 101, 200])
def test_no_other_status_is_informational(status: int) -> None:
    with pytest.raises(LocalProtocolError, match=rf"^{status} is not an informational status"):
        informational_fields(status, [])


@pytest.mark.parametrize("status", [200, 599, 600, 999])
def test_a_final_status_is_sent_as_it_is(status: int) -> None:
    assert response_fields(status, []) == [(b":status", b"%d" % status)]


@pytest.mark.parametrize("status", [100, 101, 199, 1000, 0, "200", 200.0, True])
def test_only_final_statuses_answer_a_request(status: int) -> None:
    with pytest.raises(LocalProtocolError):
        response_fields(status, [])


def test_section_of_a_response_is_as_large_as_clients_take_at_most() -> None:
    # ":status" and "200", "x", and 32 octets for each field (RFC 9113, 6.5.2).
    largest = 100 * 1024 - 42 - 33

    response_fields(200, [(b"x", b"a" * largest)])
    with pytest.raises(LocalProtocolError, match="take 102,401 bytes"):
        response_fields(200, [(b"x", b"a" * (largest + 1))])


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


@given(
    st.sampled_from([b"http", b"https", b"HTTP", b"hTTps"]),
    st.from_regex(rb"[A-Za-z0-9.:\[\]@,%-]*", fullmatch=True),
    st.from_regex(rb"(/[!-\"$-~]*)?(\?[!-\"$-~]*)?", fullmatch=True),
)
def test_target_in_absolute_form_is_cut_where_its_authority_ends(
    scheme: bytes, authority: bytes, path: bytes
) -> None:
    found = split_absolute(scheme + b"://" + authority + path, b"GET")

    assert found == (authority, path if path.startswith(b"/") else b"/" + path)


@given(st.binary(), st.sampled_from([b"GET", b"OPTIONS"]))
def test_whatever_is_in_absolute_form_has_a_path_and_an_authority_without_one(
    rest: bytes, method: bytes
) -> None:
    found = split_absolute(b"http://" + rest, method)

    assert found is not None
    authority, path = found
    assert not set(authority) & set(b"/?#")
    assert path.startswith(b"/") or (method, path) == (b"OPTIONS", b"*")
    assert split_absolute(b"ftp://" + rest, method) is None
