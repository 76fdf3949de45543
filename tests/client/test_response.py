"""What the caller reads: a response by itself, and the promises that came with it."""

from __future__ import annotations

import asyncio

import pytest
from ngh2 import ErrorCode

from headstart.client.errors import ClientTimeoutError, HTTPStatusError, RequestError
from headstart.client.response import AsyncResponse, AsyncServerPush
from headstart.client.response_stream import ResponseStream
from headstart.client.stalls import StallTimeouts
from headstart.config import ClientLimits
from headstart.errors import LocalProtocolError
from tests.client.peer import Peer
from tests.clock import timeless


class Owner:
    """Remembers what an exchange asks of its connection."""

    def __init__(self) -> None:
        self.stall_timeouts = StallTimeouts(asyncio.get_running_loop())
        self.given_back: list[tuple[int, int]] = []
        self.cancelled = 0

    def extra_info(self, name: str) -> str:
        return f"the {name}"

    def give_back(self, stream_id: int, amount: int) -> None:
        self.given_back.append((stream_id, amount))

    def cancel(self, exchange: ResponseStream) -> None:
        del exchange
        self.cancelled += 1


def exchange(owner: Owner, parent: int = 0) -> ResponseStream:
    return ResponseStream(owner, 1, "GET", "/", asyncio.get_running_loop().time(), parent)


async def test_copy_is_read_without_touching_the_original() -> None:
    owner = Owner()
    one = exchange(owner, parent=3)
    one.respond(200, [(b"a", b"b")], 1.0)
    one.feed(b"abc", 1.0)
    one.end(1.0)

    copy = AsyncResponse(one.copy(), None, from_push=True)

    assert (copy.status_code, dict(copy.headers), await copy.aread()) == (200, {"a": "b"}, b"abc")
    assert list(one.chunks) == [b"abc"]
    assert sum(amount for _, amount in owner.given_back) == 0


async def test_failure_while_reading_lets_go_of_the_stream() -> None:
    owner = Owner()
    one = exchange(owner)
    one.respond(200, [], 1.0)
    one.fail(RequestError("gone"), 1.0)

    with pytest.raises(RequestError):
        await AsyncResponse(one, None, from_push=False).aread()

    assert owner.cancelled == 1


async def test_response_shows_what_it_answers() -> None:
    one = exchange(Owner())
    one.respond(404, [], 1.0)

    assert repr(AsyncResponse(one, None, from_push=False)) == "<AsyncResponse 404 to GET />"


async def test_text_and_json_are_read_from_the_content() -> None:
    peer = await Peer.connected()
    task, stream_id = await peer.asked()
    await peer.answer(
        stream_id, b'["\xe9"]', headers=[(b"content-type", b"application/json; charset=latin-1")]
    )

    response = await task
    await response.aread()

    assert response.text == '["é"]'
    with pytest.raises(UnicodeDecodeError):
        response.json()


@pytest.mark.parametrize(
    "charset", ["", "; charset=none-such", "; charset=undefined", "; charset=idna"]
)
async def test_text_of_no_known_encoding_is_utf8(charset: str) -> None:
    peer = await Peer.connected()
    task, stream_id = await peer.asked()
    headers = [(b"content-type", b"text/plain" + charset.encode())]
    await peer.answer(stream_id, '{"a": "é"}'.encode() + b"", headers=headers)

    response = await task
    await response.aread()

    assert response.text == '{"a": "é"}'
    assert response.json() == {"a": "é"}


async def test_body_that_is_being_read_is_read_by_nobody_else() -> None:
    peer = await Peer.connected()
    task, stream_id = await peer.asked()
    await peer.answer(stream_id, b"first ", end=False)
    response = await task
    first = asyncio.create_task(response.aread())
    await peer.settle()

    with pytest.raises(LocalProtocolError, match="is being read"):
        await response.aread()
    peer.server.send_data(stream_id, b"last", True)
    await peer.settle()

    assert await first == await response.aread() == b"first last"


async def test_closed_response_gives_no_part_of_a_body_for_the_whole() -> None:
    peer = await Peer.connected()
    task, stream_id = await peer.asked()
    await peer.answer(stream_id, b"all of it")
    response = await task

    await response.aclose()
    await response.aclose()

    with pytest.raises(RequestError, match="closed"):
        await response.aread()


# Promises.


async def test_promises_come_one_by_one_until_the_response_has_ended() -> None:
    peer = await Peer.connected()
    task, stream_id = await peer.asked()
    first = await peer.promise(stream_id, b"/a", [(b"accept", b"*/*")])
    await peer.answer(stream_id, b"", end=False)
    response = await task
    seen: list[AsyncServerPush] = []

    async def watch() -> None:
        async for push in response.pushes:
            seen.append(push)

    watching = asyncio.create_task(watch())
    await peer.settle()
    before = [push.request.target for push in seen]
    second = await peer.promise(stream_id, b"/b")
    peer.server.send_data(stream_id, b"", True)
    await peer.settle()
    await watching

    assert before == ["/a"]
    assert [push.stream_id for push in seen] == [first, second]
    request = seen[0].request
    assert (request.method, request.url) == ("GET", "http://example.test/a")
    assert request.headers.raw == [(b"accept", b"*/*")]
    assert [push.stream_id async for push in response.pushes] == [first, second]


async def test_pushed_response_is_waited_for_and_answers_nobody_else() -> None:
    peer = await Peer.connected()
    task, stream_id = await peer.asked()
    promised = await peer.promise(stream_id)
    await peer.answer(stream_id)
    (push,) = [push async for push in (await task).pushes]

    waiting = asyncio.create_task(push.response())
    await peer.settle()
    get, get_id = await peer.asked("/data")
    await peer.answer(promised, b"pushed")
    await peer.answer(get_id, b"asked")

    response = await waiting
    assert (response.status_code, response.from_push, await response.aread()) == (
        200,
        True,
        b"pushed",
    )
    assert await (await get).aread() == b"asked"
    with pytest.raises(RequestError, match="no longer"):
        await push.response()


async def test_push_that_answered_a_request_is_told_to_be_gone() -> None:
    peer = await Peer.connected()
    task, stream_id = await peer.asked()
    promised = await peer.promise(stream_id)
    await peer.answer(stream_id)
    await peer.answer(promised, b"pushed")
    (push,) = [push async for push in (await task).pushes]
    assert await (await peer.connection.request("GET", "/data")).aread() == b"pushed"

    with pytest.raises(RequestError, match="/data is no longer here") as caught:
        await push.response()

    assert caught.value.hint


async def test_large_pushed_body_waits_for_its_reader() -> None:
    peer = await Peer.connected(limits=ClientLimits(stream_window=70_000))
    task, stream_id = await peer.asked()
    promised = await peer.promise(stream_id)
    await peer.answer(stream_id)
    (push,) = [push async for push in (await task).pushes]
    waiting = asyncio.create_task(push.response())
    await peer.answer(promised, b"x" * 200_000)
    response = await waiting
    unsent = peer.server.queued_on(promised)

    reading = asyncio.create_task(response.aread())
    await peer.settle()

    assert unsent == 130_000
    assert await reading == b"x" * 200_000


async def test_rejected_push_is_reset_and_answers_nobody() -> None:
    peer = await Peer.connected()
    task, stream_id = await peer.asked()
    promised = await peer.promise(stream_id)
    await peer.answer(stream_id)
    (push,) = [push async for push in (await task).pushes]

    push.reject()
    push.reject()
    await peer.settle()

    assert peer.resets() == [(promised, ErrorCode.CANCEL)]
    assert len(peer.connection.pushes) == 0
    with pytest.raises(RequestError, match="cancelled"):
        await push.response()


async def test_push_that_the_server_resets_fails() -> None:
    peer = await Peer.connected()
    task, stream_id = await peer.asked()
    promised = await peer.promise(stream_id)
    await peer.answer(stream_id)
    (push,) = [push async for push in (await task).pushes]
    peer.server.reset(promised, ErrorCode.INTERNAL_ERROR)
    await peer.settle()

    with pytest.raises(RequestError, match="INTERNAL_ERROR"):
        await push.response()


@timeless
async def test_waiting_for_a_promise_times_out() -> None:
    peer = await Peer.connected()
    task, stream_id = await peer.asked(timeout=0.02)
    await peer.answer(stream_id, end=False)
    response = await task

    with pytest.raises(ClientTimeoutError):
        [push async for push in response.pushes]


async def test_promises_end_with_the_connection_and_where_push_is_off() -> None:
    peer = await Peer.connected()
    task, stream_id = await peer.asked()
    await peer.answer(stream_id, end=False)
    without = await Peer.connected(push=False)
    other, other_id = await without.asked()
    await without.answer(other_id, end=False)

    assert [push async for push in (await other).pushes] == []
    response = await task
    peer.connection.connection_lost(None)
    assert [push async for push in response.pushes] == []


async def test_only_the_last_promises_are_remembered() -> None:
    peer = await Peer.connected(limits=ClientLimits(max_pushes=2))
    task, stream_id = await peer.asked()
    for number in range(4):
        promised = await peer.promise(stream_id, b"/%d" % number)
        await peer.answer(promised)
    await peer.answer(stream_id)

    targets = [push.request.target async for push in (await task).pushes]

    assert targets == ["/2", "/3"]


def answered(status: int, body: list[bytes], content_type: bytes) -> AsyncResponse:
    one = exchange(Owner())
    one.respond(status, [(b"content-type", content_type)], 1.0)
    for part in body:
        one.feed(part, 1.0)
    one.end(1.0)
    return AsyncResponse(one, None, from_push=False)


async def test_lines_of_a_stream_of_events_come_without_their_ends() -> None:
    response = answered(200, [b"data: 1\r\n", b"\r\ndata: \xc3", b"\xa9"], b"text/event-stream")

    assert [line async for line in response.aiter_lines()] == ["data: 1", "", "data: é"]


async def test_text_is_decoded_over_the_ends_of_parts() -> None:
    owner = Owner()
    one = exchange(owner)
    one.respond(200, [(b"content-type", b"text/plain; charset=utf-8")], 1.0)
    response = AsyncResponse(one, None, from_push=False)
    texts = response.aiter_text()
    one.feed("é".encode()[:1] + b"", 1.0)
    task = asyncio.ensure_future(anext(texts))
    await asyncio.sleep(0)
    one.feed("é".encode()[1:], 1.0)

    assert await task == "é"
    one.feed(b"\xff", 1.0)
    one.feed(b"\xc3", 1.0)
    one.end(1.0)
    assert [text async for text in texts] == ["\ufffd", "\ufffd"]


@pytest.mark.parametrize("status", [200, 204, 299])
async def test_success_raises_nothing(status: int) -> None:
    response = answered(status, [], b"text/plain")

    assert response.raise_for_status() is response
    assert (response.is_success, response.is_error) == (True, False)


@pytest.mark.parametrize(
    ("status", "told", "hint"),
    [
        (404, "the response to GET / has the status 404 Not Found", ""),
        (599, "the response to GET / has the status 599", ""),
        (
            301,
            "the response to GET / has the status 301 Moved Permanently",
            "To follow redirects, use httpx with headstart.httpx.",
        ),
    ],
)
async def test_other_status_is_an_error_if_you_ask_for_it(
    status: int, told: str, hint: str
) -> None:
    response = answered(status, [], b"text/plain")

    with pytest.raises(HTTPStatusError) as caught:
        response.raise_for_status()

    assert (str(caught.value), caught.value.hint) == (told, hint)
    assert caught.value.response is response
    assert (response.is_success, response.is_error) == (False, status >= 400)
