"""Header sections that come again are not examined again, and read as if they had been."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from headstart.config import WireLimits
from headstart.wire.events import RequestReceived, RequestRefused, WebSocketRequested
from headstart.wire.fields import header_list_size, known_target, read_request
from headstart.wire.requests import RequestReader

Section = tuple[tuple[bytes, bytes], ...]
LIMITS = WireLimits(max_target_size=400, max_header_size=600)


def section(path: bytes = b"/", *fields: tuple[bytes, bytes], method: bytes = b"GET") -> Section:
    return (
        (b":method", method),
        (b":path", path),
        (b":scheme", b"https"),
        (b":authority", b"a.test"),
        *fields,
    )


def request(reader: RequestReader, headers: Section) -> RequestReceived:
    read = reader.read(1, headers, True)
    assert isinstance(read, RequestReceived)
    return read


def refusal(reader: RequestReader, headers: Section) -> int:
    read = reader.read(1, headers, True)
    assert isinstance(read, RequestRefused)
    return read.status


def parts(read: RequestReceived | WebSocketRequested | RequestRefused) -> tuple[object, ...]:
    assert not isinstance(read, WebSocketRequested)
    if isinstance(read, RequestRefused):
        return read.stream_id, read.status, read.reason
    return (
        read.stream_id,
        read.method,
        read.target,
        read.authority,
        read.headers,
        read.end_stream,
    )


def warm(*fields: tuple[bytes, bytes]) -> RequestReader:
    """A reader that has seen the section twice."""
    reader = RequestReader(LIMITS)
    for _ in range(2):
        reader.read(1, section(b"/", *fields), True)
    return reader


def test_requests_that_differ_in_their_path_alone_share_a_template() -> None:
    reader = warm((b"accept", b"*/*"))

    first = request(reader, section(b"/a?b=c", (b"accept", b"*/*")))
    second = request(reader, section(b"/d", (b"accept", b"*/*")))

    assert first.template is not None
    assert first.template is second.template
    assert (first.target, second.target) == (b"/a?b=c", b"/d")
    assert first.headers == second.headers == [(b"host", b"a.test"), (b"accept", b"*/*")]


def test_first_request_and_one_with_another_field_have_no_template() -> None:
    reader = RequestReader(LIMITS)
    assert request(reader, section()).template is None

    reader = warm()
    assert request(reader, section(b"/", (b"accept", b"*/*"))).template is None
    assert request(reader, section(method=b"POST")).template is None


def test_application_that_changes_its_headers_changes_no_other_requests() -> None:
    reader = warm()
    request(reader, section()).headers.append((b"x", b"y"))

    assert request(reader, section()).headers == [(b"host", b"a.test")]


def test_malformed_path_behind_well_formed_ones_is_refused() -> None:
    reader = warm()

    assert refusal(reader, section(b"/a#b")) == 400
    assert refusal(reader, section(b"/\xff")) == 400
    assert request(reader, section(b"/a")).target == b"/a"


def test_path_that_makes_the_section_too_large_is_refused() -> None:
    field = (b"x", b"y" * 300)
    room = LIMITS.max_header_size - header_list_size(section(b"", field))
    assert room < LIMITS.max_target_size

    reader = warm(field)

    assert request(reader, section(b"/" * room, field)).target == b"/" * room
    assert refusal(reader, section(b"/" * (room + 1), field)) == 431


def test_crumbs_of_a_cookie_leave_as_much_room_as_the_field_that_they_become() -> None:
    crumbs = [(b"cookie", b"a=b")] * 40
    joined = (b"cookie", b"; ".join([b"a=b"] * 40))
    room = LIMITS.max_header_size - header_list_size(section(b"", joined))
    reader = warm(*crumbs)

    assert request(reader, section(b"/" * room, *crumbs)).target == b"/" * room
    assert refusal(reader, section(b"/" * (room + 1), *crumbs)) == 431


def test_path_beyond_its_own_limit_is_refused() -> None:
    assert refusal(warm(), section(b"/" * 401)) == 414


def test_long_paths_are_not_remembered() -> None:
    known_target.cache_clear()  # another test may have asked for such a path
    reader = warm()
    before = known_target.cache_info().misses

    assert request(reader, section(b"/" * 257)).target == b"/" * 257
    assert known_target.cache_info().misses == before
    assert request(reader, section(b"/" * 256)).target == b"/" * 256
    assert known_target.cache_info().misses == before + 1


def test_asterisk_is_a_target_of_options_only() -> None:
    reader = RequestReader(LIMITS)
    for _ in range(3):
        assert request(reader, section(b"*", method=b"OPTIONS")).target == b"*"

    assert refusal(warm(), section(b"*")) == 400


SECTIONS = st.builds(
    section,
    st.sampled_from([b"/", b"/a", b"/a?b", b"*", b"a", b"/#", b"/" * 401, b"/" * 300]),
    st.sampled_from([(b"cookie", b"a=b"), (b"host", b"a.test"), (b"x", b"y" * 250)]),
    method=st.sampled_from([b"GET", b"OPTIONS", b"get"]),
)


@given(st.lists(SECTIONS, max_size=12))
def test_what_was_read_before_never_changes_what_is_read(sections: list[Section]) -> None:
    reader = RequestReader(LIMITS)

    for stream_id, headers in enumerate(sections):
        read = reader.read(stream_id, headers, False)

        assert parts(read) == parts(read_request(stream_id, headers, False, LIMITS))


CONNECT: Section = (
    (b":method", b"CONNECT"),
    (b":scheme", b"https"),
    (b":authority", b"a.test"),
    (b":protocol", b"websocket"),
    (b":path", b"/chat?a=1"),
)


def test_extended_connect_asks_for_a_websocket_however_its_fields_stand() -> None:
    reader = RequestReader(LIMITS)
    fields = ((b"cookie", b"a=1"), (b"cookie", b"b=2"))

    for section_ in (CONNECT, CONNECT[::-1], CONNECT):
        read = reader.read(1, (*section_, *fields), False)

        assert read == WebSocketRequested(
            1, b"/chat?a=1", b"a.test", [(b"host", b"a.test"), (b"cookie", b"a=1; b=2")]
        )


def test_connect_for_anything_else_is_refused() -> None:
    def status(headers: Section, end_stream: bool = False) -> int:
        read = RequestReader(LIMITS).read(1, headers, end_stream)
        assert isinstance(read, RequestRefused)
        return read.status

    plain = ((b":method", b"CONNECT"), (b":authority", b"a.test:443"))
    other = tuple((n, b"connect-udp" if n == b":protocol" else v) for n, v in CONNECT)
    fragment = tuple((n, b"/a#b" if n == b":path" else v) for n, v in CONNECT)
    long = tuple((n, b"/" * 500 if n == b":path" else v) for n, v in CONNECT)

    assert status(plain) == 400
    assert status(other) == 501
    assert status(fragment) == 400
    assert status(long) == 414
    assert status(CONNECT, end_stream=True) == 400
    assert status((*CONNECT, (b"content-length", b"1"))) == 400
    assert status((*CONNECT, (b"x-large", b"a" * 700))) == 431


def test_connect_leaves_what_was_learned_of_requests_as_it_is() -> None:
    reader = warm((b"x-a", b"1"))
    before = request(reader, section(b"/a", (b"x-a", b"1")))
    reader.read(3, CONNECT, False)
    after = request(reader, section(b"/b", (b"x-a", b"1")))

    assert (after.target, after.headers, after.authority) == (
        b"/b",
        before.headers,
        before.authority,
    )
