"""The push gate: every rule of RFC 9113 for pushes, one test each.

Each asserts the decision, the bytes on the wire, and that the page itself is unharmed.
"""

from __future__ import annotations

from typing import Any

import pytest
from ngh2 import ErrorCode, Setting

from headstart.config import WireLimits
from headstart.errors import StreamGoneError
from headstart.reasons import Refusal
from headstart.wire.events import (
    ConnectionEnded,
    PromiseFailed,
    StreamReset,
)
from headstart.wire.fields import response_fields
from headstart.wire.promises import PromiseHeads
from tests.wire.pair import AUTHORITY, Pair, assert_page_unharmed


def push(pair: Pair, parent: int, target: bytes = b"/style.css", **more: Any) -> int | Refusal:
    """Offer an asset, with right values for what `more` does not say."""
    right: dict[str, Any] = {
        "method": "GET",
        "scheme": b"https",
        "authority": AUTHORITY,
        "target": target,
        "headers": [],
    }
    urgency = more.pop("urgency", 0)
    made = right | more
    target = made.pop("target")
    return pair.server.promise(parent, PromiseHeads(**made).of(target), urgency)


def pushed(pair: Pair, parent: int, target: bytes = b"/style.css", **more: Any) -> int:
    outcome = push(pair, parent, target, **more)
    assert isinstance(outcome, int), outcome
    return outcome


def test_pushed_response_reaches_the_client_once_and_whole() -> None:
    pair = Pair()
    page = pair.request()

    promised = pushed(pair, page)
    pair.server.respond(promised, response_fields(200, []), end_stream=False)
    pair.server.send_data(promised, b"body {}", True)

    assert_page_unharmed(pair, page, promises=1)
    assert pair.body(promised) == b"body {}"
    assert [dict(p.headers)[b":path"] for p in pair.promises()] == [b"/style.css"]


def test_peer_that_disabled_push_gets_no_promise() -> None:
    pair = Pair({Setting.ENABLE_PUSH: 0})
    page = pair.request()

    outcome = push(pair, page)

    assert outcome is Refusal.PUSH_DISABLED
    assert_page_unharmed(pair, page)


def test_peer_that_disables_push_after_the_promise_was_queued_gets_none() -> None:
    pair = Pair()
    page = pair.request()
    promised = pushed(pair, page)
    pair.client.update_settings({Setting.ENABLE_PUSH: 0})

    pair.feed(pair.client.data_to_send())
    pair.exchange()

    assert PromiseFailed(promised, Refusal.PUSH_DISABLED) in pair.server_events
    assert_page_unharmed(pair, page)


def test_server_never_sends_enable_push() -> None:
    pair = Pair()

    settings = pair.sent("SETTINGS")

    assert all(name != "ENABLE_PUSH" for frame in settings for name, _ in frame.details)
    assert ("MAX_CONCURRENT_STREAMS", "100") in settings[0].details


def test_pushed_stream_pushes_nothing() -> None:
    pair = Pair()
    page = pair.request()
    promised = pushed(pair, page)

    outcome = push(pair, promised, b"/font.woff2")

    assert outcome is Refusal.PUSHED_PARENT
    assert_page_unharmed(pair, page, promises=1)


def test_page_whose_response_has_ended_pushes_nothing() -> None:
    pair = Pair()
    page = pair.request(end_stream=False, method=b"POST")
    pair.answer(page)

    outcome = push(pair, page)
    pair.exchange()

    assert outcome is Refusal.PARENT_CLOSED
    assert pair.sent("PUSH_PROMISE") == []


def test_page_that_was_cancelled_pushes_nothing() -> None:
    pair = Pair()
    page = pair.request()
    pair.client.reset_stream(page, ErrorCode.CANCEL)
    pair.exchange()

    outcome = push(pair, page)

    assert outcome is Refusal.PARENT_CLOSED
    assert pair.saw(StreamReset, stream_id=page, error_code=ErrorCode.CANCEL)
    assert_page_unharmed(pair, pair.request())


def test_push_goes_out_while_the_client_still_sends_its_request() -> None:
    pair = Pair()
    page = pair.request(method=b"POST", end_stream=False)

    pushed(pair, page)
    pair.exchange()

    assert len(pair.promises()) == 1
    pair.client.end_stream(page)
    pair.exchange()
    assert_page_unharmed(pair, page, promises=1)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "get"])
def test_only_safe_cacheable_methods_without_content_are_pushed(method: str) -> None:
    pair = Pair()
    page = pair.request()

    outcome = push(pair, page, method=method)

    assert outcome is Refusal.METHOD
    assert_page_unharmed(pair, page)


def test_head_can_be_pushed() -> None:
    pair = Pair()
    page = pair.request()

    promised = pushed(pair, page, method="HEAD")
    pair.server.respond(promised, response_fields(200, []), end_stream=True)

    assert_page_unharmed(pair, page, promises=1)
    assert pair.status(promised) == b"200"


def test_authority_of_a_push_is_the_pages_own() -> None:
    pair = Pair()
    page = pair.request()

    outcome = push(pair, page, authority=b"other.test")

    assert outcome is Refusal.FOREIGN_AUTHORITY
    assert_page_unharmed(pair, page)


@pytest.mark.parametrize(
    "target",
    [b"", b"style.css", b"//\r\nx", b"/a b", b"/a#b", b"/\xc3\xa4", b"*", b"/" + b"a" * 9000],
)
def test_target_of_a_push_is_an_absolute_path_of_printable_ascii(target: bytes) -> None:
    pair = Pair()
    page = pair.request()

    outcome = push(pair, page, target)

    assert outcome is Refusal.BAD_PATH
    assert_page_unharmed(pair, page)


@pytest.mark.parametrize(
    "name",
    [b"if-none-match", b"range", b"expect", b"content-length", b"Content-Type", b"te", b"host"],
)
def test_promised_request_is_unconditional_and_without_content(name: bytes) -> None:
    pair = Pair()
    page = pair.request()

    outcome = push(pair, page, headers=[(name, b"1")])

    assert outcome is Refusal.FORBIDDEN_FIELD
    assert_page_unharmed(pair, page)


@pytest.mark.parametrize("name", [b"cookie", b"authorization", b"proxy-authorization"])
def test_credentials_go_only_with_what_the_application_asked_for_itself(name: bytes) -> None:
    pair = Pair()
    page = pair.request()

    refused = push(pair, page, headers=[(name, b"secret")])
    pushed(pair, page, headers=[(name, b"secret")], credentials=True)

    assert refused is Refusal.CREDENTIALS
    assert_page_unharmed(pair, page, promises=1)


def test_same_target_is_promised_once_a_page() -> None:
    pair = Pair()
    page = pair.request()
    pushed(pair, page)

    outcome = push(pair, page)

    assert outcome is Refusal.ALREADY_PUSHED
    assert_page_unharmed(pair, page, promises=1)


def test_same_target_is_promised_again_for_the_next_page() -> None:
    pair = Pair()
    for promises in (1, 2):
        page = pair.request(method=b"POST")
        promised = pushed(pair, page, b"/data")
        pair.server.respond(promised, response_fields(200, []), end_stream=True)

        assert_page_unharmed(pair, page, promises)


def test_promise_comes_before_the_link_field_that_names_it() -> None:
    pair = Pair()
    page = pair.request()

    pushed(pair, page)
    pair.server.inform(page, 103, [(b"link", b"</style.css>; rel=preload; as=style")])

    assert_page_unharmed(pair, page, promises=1)
    kinds = [frame.kind for frame in pair.sent(stream_id=page)]
    assert kinds == ["PUSH_PROMISE", "HEADERS", "HEADERS", "DATA"]


@pytest.mark.parametrize("allowed", [0, 1, 3])
def test_promises_that_are_open_stay_within_the_clients_limit(allowed: int) -> None:
    pair = Pair({Setting.MAX_CONCURRENT_STREAMS: allowed})
    page = pair.request()

    outcomes = [push(pair, page, b"/%d" % number) for number in range(5)]

    assert outcomes[allowed:] == [Refusal.TOO_MANY] * (5 - allowed)
    assert_page_unharmed(pair, page, promises=allowed)


def test_pushed_stream_that_closed_makes_room_for_another() -> None:
    pair = Pair({Setting.MAX_CONCURRENT_STREAMS: 1})
    page = pair.request()
    first = pushed(pair, page, b"/1")
    pair.server.respond(first, response_fields(200, []), end_stream=True)
    pair.exchange()

    pushed(pair, page, b"/2")

    assert_page_unharmed(pair, page, promises=2)


def test_one_page_causes_a_bounded_number_of_pushes() -> None:
    pair = Pair(limits=WireLimits(max_pushes_per_request=2))
    page = pair.request()

    outcomes = [push(pair, page, b"/%d" % number) for number in range(3)]

    assert outcomes[2] is Refusal.TOO_MANY
    assert_page_unharmed(pair, page, promises=2)


def test_pushed_data_obeys_both_windows() -> None:
    pair = Pair({Setting.INITIAL_WINDOW_SIZE: 10})
    page = pair.request()
    promised = pushed(pair, page)

    pair.server.respond(promised, response_fields(200, []), end_stream=False)
    pair.server.send_data(promised, b"x" * 100, True)
    first = pair.server.output()

    assert pair.server.queued_on(promised) == 90
    assert first.count(b"x" * 10) == 1


def test_cancelled_push_stops_at_once() -> None:
    pair = Pair({Setting.INITIAL_WINDOW_SIZE: 10})
    page = pair.request()
    promised = pushed(pair, page)
    pair.server.respond(promised, response_fields(200, []), end_stream=False)
    pair.server.send_data(promised, b"x" * 100, False)
    pair.to_client()
    pair.client.reset_stream(promised, ErrorCode.CANCEL)

    pair.feed(pair.client.data_to_send())

    assert pair.saw(StreamReset, stream_id=promised, error_code=ErrorCode.CANCEL)
    assert pair.server.queued() == 0
    with pytest.raises(StreamGoneError):
        pair.server.send_data(promised, b"more", True)
    assert_page_unharmed(pair, page, promises=1)


def test_pushes_may_be_cancelled_without_end() -> None:
    """More of them than answered requests, each of which pays for a reset."""
    pair = Pair(limits=WireLimits(max_resets=5))

    for number in range(20):
        page = pair.request(b"/%d" % number)
        promised = [pushed(pair, page, b"/%d.css" % asset) for asset in range(5)]
        pair.exchange()
        for stream_id in promised:
            pair.client.reset_stream(stream_id, ErrorCode.CANCEL)
        pair.exchange()
        pair.server.respond(page, response_fields(200, []), end_stream=True)
        pair.exchange()

    assert pair.server.ended is None
    assert not pair.server.goaway


def test_no_push_after_the_clients_goaway() -> None:
    pair = Pair()
    page = pair.request()
    pair.client.send_goaway()
    pair.exchange()

    outcome = push(pair, page)

    assert outcome is Refusal.CONNECTION_CLOSING
    assert_page_unharmed_while_closing(pair, page)


def assert_page_unharmed_while_closing(pair: Pair, page: int) -> None:
    pair.answer(page)
    assert pair.body(page) == b"page"
    assert pair.sent("PUSH_PROMISE") == []


def test_promise_from_a_client_is_a_connection_error() -> None:
    pair = Pair()
    page = pair.request()
    promise = bytes.fromhex("0000050504") + page.to_bytes(4) + b"\0\0\0\2\x82"

    pair.feed(promise)
    pair.exchange()

    assert any(isinstance(event, ConnectionEnded) for event in pair.server_events)
    assert pair.sent("GOAWAY")[-1].details[1] == ("error", "PROTOCOL_ERROR")


def test_page_goes_before_what_is_pushed_with_it() -> None:
    pair = Pair()
    page = pair.request()
    promised = pushed(pair, page)
    for stream_id in (promised, page):
        pair.server.respond(stream_id, response_fields(200, []), end_stream=False)
        pair.server.send_data(stream_id, b"x" * 40_000, True)

    pair.exchange()

    data = [frame.stream_id for frame in pair.sent("DATA")]
    assert data == sorted(data, key=lambda stream_id: stream_id != page)
    assert set(data) == {page, promised}


def test_priority_update_for_an_idle_push_stream_is_a_connection_error() -> None:
    pair = Pair()
    update = bytes.fromhex("00000710000000000000000002") + b"u=0"

    pair.feed(update)
    pair.exchange()

    assert pair.sent("GOAWAY")[-1].details[1] == ("error", "PROTOCOL_ERROR")


def test_push_goes_behind_a_page_whose_new_priority_came_in_two_parts() -> None:
    pair = Pair()
    page, other = pair.request(), pair.request(headers=[(b"priority", b"u=5")])
    update = bytes.fromhex("000007 10 00 00000000") + page.to_bytes(4, "big") + b"u=6"

    pair.feed(update[:10])
    pushed(pair, page, b"/early.css")
    pair.feed(update[10:])
    late = pushed(pair, page, b"/late.css")
    for stream_id in (late, other):
        pair.server.respond(stream_id, response_fields(200, []), end_stream=False)
        pair.server.send_data(stream_id, b"x" * 20_000, True)
    pair.exchange()

    data = [frame.stream_id for frame in pair.sent("DATA")]
    assert data == sorted(data, key=lambda stream_id: stream_id != other)
    assert set(data) == {late, other}
