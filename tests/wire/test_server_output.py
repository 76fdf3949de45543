"""The output of the server's side: RFC 8297 for 103, the bound on output, the end, one test a rule.

Each asserts the decision, the bytes on the wire, and that the page itself is unharmed.
"""

from __future__ import annotations

import ngh2
import pytest
from ngh2 import Setting

from headstart.errors import LocalProtocolError, StreamGoneError
from headstart.wire.events import StreamClosed
from headstart.wire.fields import response_fields
from tests.wire.pair import Pair, assert_page_unharmed

# 103 Early Hints.


def test_informational_response_comes_before_the_final_one_and_does_not_end_the_stream() -> None:
    pair = Pair()
    page = pair.request()

    pair.server.inform(page, 103, [(b"link", b"</a.css>; rel=preload; as=style")])
    pair.answer(page)

    first, final = pair.sent("HEADERS", page)
    assert first.informational
    assert ("END_STREAM", False) in first.flags
    assert final.status == 200


def test_informational_response_after_the_final_one_is_refused() -> None:
    pair = Pair()
    page = pair.request()
    pair.server.respond(page, response_fields(200, []), end_stream=False)

    with pytest.raises(LocalProtocolError):
        pair.server.inform(page, 103, [])

    pair.server.send_data(page, b"page", True)
    pair.exchange()
    assert pair.body(page) == b"page"
    assert len(pair.sent("HEADERS", page)) == 1


@pytest.mark.parametrize("status", [101, 200, 99])
def test_only_informational_statuses_but_101_are_sent_ahead(status: int) -> None:
    pair = Pair()
    page = pair.request()

    with pytest.raises(LocalProtocolError):
        pair.server.inform(page, status, [])

    assert_page_unharmed(pair, page)


@pytest.mark.parametrize("value", [b"</a>\r\nx: y", b"</a>\nx", b"</a>\0", b"</a>\r\n"])
def test_link_that_would_inject_a_field_never_reaches_the_wire(value: bytes) -> None:
    pair = Pair()
    page = pair.request()

    with pytest.raises(LocalProtocolError):
        pair.server.inform(page, 103, [(b"link", value)])

    assert_page_unharmed(pair, page)
    assert len(pair.sent("HEADERS", page)) == 1


def test_output_is_never_more_than_asked_for() -> None:
    pair = Pair({Setting.INITIAL_WINDOW_SIZE: 2**20})
    pair.client.set_local_window_size(2**20)
    page = pair.request()
    pair.server.respond(page, response_fields(200, []), end_stream=False)
    pair.server.send_data(page, b"x" * 500_000, True)

    sizes = [len(pair.server.output()) for _ in range(9)]

    assert max(sizes) <= 64 * 1024
    assert sum(sizes) > 500_000


# The end.


def test_graceful_end_lets_open_streams_finish() -> None:
    pair = Pair()
    page = pair.request()

    pair.server.shutdown_notice()
    pair.exchange()
    pair.server.last_goaway()
    pair.answer(page)

    notice, last = pair.sent("GOAWAY")
    assert notice.details[0] == ("last stream", str(2**31 - 1))
    assert last.details[0] == ("last stream", str(page))
    assert pair.body(page) == b"page"
    assert pair.saw(StreamClosed, stream_id=page, error_code=0)


def test_calls_on_a_connection_that_has_ended_say_that_the_stream_is_gone() -> None:
    pair = Pair()
    page = pair.request()
    pair.server.close()
    pair.exchange()

    with pytest.raises(StreamGoneError):
        pair.server.respond(page, response_fields(200, []), end_stream=True)

    pair.server.reset(page)
    assert pair.server.queued_on(page) == 0
    assert isinstance(pair.client_events[-1], ngh2.Event)
