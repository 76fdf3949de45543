"""Cache digests against the published examples, both ways, and against what a stranger may send."""

from __future__ import annotations

from base64 import urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.deliver.digest import (
    KEY_BITS,
    MAX_DIGESTS,
    MAX_FIELD,
    MAX_KEYS,
    NO_DIGESTS,
    Digest,
    Flag,
    decode,
    encode,
    field_value,
    from_base64url,
    pack,
    parse,
    to_base64url,
    url_key,
)
from tests.growth import assert_grows_linearly

STYLE = "https://example.com/style.css"
JQUERY = "https://example.com/jquery.js"
HELLO = "https://127.0.0.1.xip.io:8081/cache-digests.cgi/hello.js"

urls = st.integers(0, 10**9).map(lambda n: f"https://example.com/{n}.css")


# As published: the draft's appendix A, h2o's unit tests, cache-digest.js.


def test_a_key_is_the_beginning_of_the_hash_of_url_and_etag() -> None:
    assert url_key(STYLE) == 0xBAF9E86F03330860
    assert url_key(STYLE, '"deadbeef"') == 0xA53EB398509042D7


@pytest.mark.parametrize(
    ("names", "p_bits", "value"),
    [
        ([], 7, "01c0"),
        ([STYLE], 7, "01f740"),
        ([STYLE, JQUERY], 7, "09d650e0"),
        ([STYLE, JQUERY], 4, "091680"),
    ],
)
def test_digests_are_written_bit_for_bit_as_others_write_them(
    names: list[str], p_bits: int, value: str
) -> None:
    assert encode(map(url_key, names), p_bits=p_bits).hex() == value


def test_the_example_of_the_draft_is_read_and_written() -> None:
    digests = parse(b"AfdA; complete")

    assert digests.has(STYLE)
    assert not digests.has(JQUERY)
    assert digests.complete
    assert field_value([url_key(STYLE)], [Flag.COMPLETE]) == b"AfdA; complete"


def test_a_digest_of_another_server_s_tests_is_read_alike() -> None:
    digests = parse(b"AeLA")

    assert digests.plain == (Digest(7, frozenset({0x0B})),)
    assert digests.has(HELLO)
    assert not digests.has("https://127.0.0.1.xip.io:8081/notfound.js")
    assert not digests.complete


def test_stale_digests_are_left_out_and_validators_are_kept_apart() -> None:
    digests = parse(b"FOO; stale, AcA; validators; complete")

    assert digests.plain == ()
    assert digests.validated == (Digest(7, frozenset()),)
    assert digests.complete


# Keys.


def test_a_url_that_is_not_ascii_is_hashed_as_it_goes_over_the_wire() -> None:
    assert url_key("https://example.com/é?a=ü") == url_key("https://example.com/%C3%A9?a=%C3%BC")


def test_what_is_escaped_already_is_not_escaped_again() -> None:
    assert url_key("https://example.com/%20é") == url_key("https://example.com/%20%C3%A9")


@given(st.text(), st.text())
def test_every_text_has_a_key(url: str, etag: str) -> None:
    assert 0 <= url_key(url, etag) < 1 << KEY_BITS


# Round trips.


@given(st.lists(urls, max_size=200), st.integers(0, 31))
def test_what_was_put_in_is_found(names: list[str], p_bits: int) -> None:
    digest = decode(encode(map(url_key, names), p_bits=p_bits))

    assert digest is not None
    assert all(digest.has(url_key(name)) for name in names)


@given(st.integers(0, 16), st.integers(0, 16), st.data())
def test_the_values_themselves_come_back(n_bits: int, p_bits: int, data: st.DataObject) -> None:
    most = min((1 << (n_bits + p_bits)) - 1, 1 << n_bits + 4)
    values = data.draw(st.frozensets(st.integers(0, most), max_size=60))

    assert decode(pack(values, n_bits, p_bits)) == Digest(n_bits + p_bits, values)


@pytest.mark.parametrize("p_bits", [4, 7])
def test_one_in_p_of_the_others_is_taken_for_one_that_is_in_it(p_bits: int) -> None:
    digest = decode(encode((url_key(f"/in/{n}") for n in range(512)), p_bits=p_bits))
    assert digest is not None

    wrong = sum(digest.has(url_key(f"/out/{n}")) for n in range(20_000))

    assert wrong / 20_000 == pytest.approx(1 / (1 << p_bits), rel=0.25)


def test_a_digest_with_validators_tells_versions_apart() -> None:
    digests = parse(field_value([url_key(STYLE, '"1"'), url_key(JQUERY)], [Flag.VALIDATORS]))

    assert digests.has(STYLE, '"1"')
    assert not digests.has(STYLE, '"2"')
    assert not digests.has(STYLE)
    assert digests.has(JQUERY)


def test_two_digests_of_one_request_are_asked_both() -> None:
    first = field_value([url_key(STYLE)], p_bits=20)
    second = field_value([url_key(JQUERY, '"1"')], [Flag.VALIDATORS], p_bits=20)
    digests = parse(first + b" ,\t" + second)

    assert digests.has(STYLE, '"9"')
    assert digests.has(JQUERY, '"1"')
    assert not digests.has(HELLO)


# What a stranger may send.


def test_reset_voids_what_came_before_it_even_without_a_digest() -> None:
    assert not parse(b"AfdA; complete, AcA; reset").has(STYLE)
    assert parse(b"AfdA; complete, ; reset") == NO_DIGESTS
    assert parse(b"AcA; reset, AfdA").has(STYLE)


def test_flags_are_read_without_regard_to_case_and_unknown_ones_void_their_digest() -> None:
    assert parse(b"AfdA;COMPLETE").complete
    assert not parse(b"AfdA; stale").has(STYLE)
    assert parse(b"AfdA; cuckoo") == NO_DIGESTS
    assert parse(b"AfdA;") == NO_DIGESTS


def test_padding_may_be_there_or_not() -> None:
    assert parse(b"AeLA").plain == parse(b"AeLA===="[:4]).plain
    assert from_base64url(b"AcA=") == from_base64url(b"AcA") == b"\x01\xc0"


@pytest.mark.parametrize(
    "field", [b"", b"A", b"AQ", b"Af+A", b"Af dA", b"\xff\xfe", b",,;;=", b"AAAAA"]
)
def test_what_is_no_digest_counts_as_none(field: bytes) -> None:
    assert not parse(field)


def test_a_value_larger_than_the_digest_s_own_numbers_voids_it() -> None:
    too_large = pack([1 << 9], 1, 7)

    assert decode(too_large) is None


def test_a_value_cut_off_ends_the_digest_before_it() -> None:
    whole = pack([3, 100], 1, 7)

    cut = decode(whole[:-1])

    assert cut == Digest(8, frozenset({3}))


def test_a_digest_of_too_many_values_counts_as_none() -> None:
    bits = 8 * 300
    ones = (31 << 5 | 0) << (bits - 10) | ((1 << (bits - 10)) - 1)
    value = ones.to_bytes(300, "big")  # P is 1, so each bit is a value

    assert decode(value, max_keys=bits) is not None
    assert bits - 10 > MAX_KEYS
    assert decode(value) is None


def test_the_bound_on_values_holds_for_all_digests_of_a_field_together() -> None:
    one = to_base64url(pack(range(MAX_KEYS // 2 + 1), 31, 0))
    digests = parse(one + b"," + one)

    assert len(digests.plain) == 1


def test_a_field_too_long_or_of_too_many_digests_counts_as_none() -> None:
    assert parse(b"AfdA" + b" " * MAX_FIELD) == NO_DIGESTS
    assert parse(b",".join([b"AfdA"] * MAX_DIGESTS)).has(STYLE)
    assert parse(b",".join([b"AfdA"] * (MAX_DIGESTS + 1))) == NO_DIGESTS


@given(st.binary(max_size=200))
def test_any_octets_are_read_without_an_error(value: bytes) -> None:
    digest = decode(value)

    assert digest is None or all(v >> digest.bits == 0 for v in digest.values)
    parse(value)
    parse(to_base64url(value))
    parse(b"AfdA; " + value)


@given(st.binary(max_size=64))
def test_base64url_comes_back(value: bytes) -> None:
    text = to_base64url(value)

    assert from_base64url(text) == from_base64url(urlsafe_b64encode(value)) == value
    assert b"=" not in text


@pytest.mark.parametrize(
    "field",
    [
        to_base64url(b"\xf8\x3f" + b"\xff" * 3000),
        to_base64url(b"\xff\xff" + b"\x00" * 3000 + b"\x01"),
        to_base64url(b"\xff\xff" + b"\x01" * 3000),
        b"A;" * (MAX_FIELD // 2),
        b"A," * (MAX_FIELD // 2),
        b"=" * MAX_FIELD,
    ],
)
def test_a_hostile_field_is_read_in_linear_time(field: bytes) -> None:
    assert_grows_linearly(parse, field[:MAX_FIELD])
