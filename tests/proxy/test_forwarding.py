"""One request on its way to an upstream, and its response on the way back, over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from headstart.config import ProxyOptions
from headstart.errors import LocalProtocolError
from headstart.proxy.failures import UpstreamError
from headstart.proxy.forwarding import ClientLeft, ForwardedRequest
from headstart.proxy.heads import request_head
from headstart.proxy.http1 import Http1Connection
from headstart.proxy.pool import Pool
from headstart.proxy.upstream import Upstream
from tests.proxy.asked import Conversation, Script, answering, raw_upstream, scope_of

OK = b"HTTP/1.1 200 OK\r\ndate: Thu, 01 Jan 2026 00:00:00 GMT\r\ncontent-length: 2\r\n\r\nok"
LINK = b"</a.css>; rel=preload; as=style"
LEFT = {"type": "http.disconnect"}


class Client:
    """A client's side of a request: the messages it gives, and those that it gets."""

    def __init__(self, *messages: dict[str, Any]) -> None:
        self.got: list[dict[str, Any]] = []
        self._messages = list(messages)
        self._left = asyncio.Event()
        self.got_content = asyncio.Event()

    def leave(self) -> None:
        """Disconnect."""
        self._left.set()

    async def receive(self) -> dict[str, Any]:
        if self._messages:
            return self._messages.pop(0)
        await self._left.wait()
        return LEFT

    async def send(self, message: Any) -> None:
        self.got.append(dict(message))
        if message.get("body"):
            self.got_content.set()

    @property
    def content(self) -> bytes:
        """The content of the response."""
        return b"".join(message.get("body", b"") for message in self.got)

    def kinds(self) -> list[str]:
        """Return the kinds of the messages it got, without `http.response.`."""
        return [message["type"].removeprefix("http.response.") for message in self.got]


def part(body: bytes, more: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


def forwarded(client: Client, *scope: Any, **more: Any) -> ForwardedRequest:
    given = scope_of(*scope, **more)
    head = request_head(given, ProxyOptions())
    target = given["raw_path"] + (b"?" + given["query_string"] if given["query_string"] else b"")
    return ForwardedRequest(given, client.receive, client.send, head, target)


@asynccontextmanager
async def connected(script: Script) -> AsyncIterator[Http1Connection]:
    """Yield a connection to an upstream that plays a script."""
    async with raw_upstream(script) as upstream:
        pool = Pool(Upstream.parse(upstream.url), ProxyOptions(), None)
        try:
            connection = await pool.acquire()
            yield connection
        finally:
            pool.close()


def recording(heard: bytearray, response: bytes = OK) -> Script:
    """Make a script that answers a request once all of its content has come, and keeps it."""

    async def script(conversation: Conversation) -> None:
        head = await conversation.head()
        heard.extend(head)
        lowered = head.lower()
        if b"content-length:" in lowered:
            size = int(lowered.partition(b"content-length:")[2].split(b"\r\n")[0])
            heard.extend(await conversation.reader.readexactly(size))
        elif b"transfer-encoding: chunked" in lowered:
            heard.extend(await conversation.reader.readuntil(b"0\r\n\r\n"))
        await conversation.say(response)

    return script


async def test_content_that_came_with_its_head_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The head may wait for its first content, but mostly one read has both."""
    client, waits = Client(), list[list[str]]()
    next_chunk = Http1Connection.next_chunk

    async def noted(self: Http1Connection) -> bytes | None:
        waits.append(client.kinds())
        return await next_chunk(self)

    async def script(conversation: Conversation) -> None:
        await conversation.head()
        await conversation.say(OK[:-1])
        await begun.wait()
        await conversation.say(OK[-1:])

    begun = asyncio.Event()
    send = client.send

    async def sending(message: Any) -> None:
        await send(message)
        begun.set()

    monkeypatch.setattr(Http1Connection, "next_chunk", noted)
    monkeypatch.setattr(client, "send", sending)
    async with connected(script) as connection:
        await forwarded(client, "GET", "/").run(connection)

    assert waits[0] == ["start", "body"]
    assert client.content == b"ok"


@pytest.mark.parametrize("target", ["/", "/a/b?c=d", "/%C3%A9?x=%20"])
async def test_request_goes_out_with_its_target_and_the_response_comes_back(target: str) -> None:
    heard, client = bytearray(), Client()
    async with connected(recording(heard)) as connection:
        request = forwarded(client, "GET", target)
        await request.run(connection)

    assert heard.startswith(b"GET %b HTTP/1.1\r\n" % target.encode())
    assert (request.status, request.started, request.left) == (200, True, False)
    assert client.kinds() == ["start", "body"]
    assert client.content == b"ok"


async def test_three_requests_in_turn_use_one_connection() -> None:
    contents = []
    async with connected(answering(OK)) as connection:
        for _ in range(3):
            client = Client()
            await forwarded(client).run(connection)
            contents.append(client.content)

        assert not connection.closed
    assert contents == [b"ok"] * 3


@pytest.mark.parametrize(
    ("method", "more", "repeatable"),
    [
        *((method, False, True) for method in ("GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE")),
        ("POST", False, False),
        ("PATCH", False, False),
        ("PUT", True, False),
    ],
)
def test_request_is_repeatable_if_it_is_idempotent_and_still_here(
    method: str, more: bool, repeatable: bool
) -> None:
    request = forwarded(Client(), method)
    request.begin_with(part(b"x", more))
    before = request.repeatable
    request.started = True

    assert before is repeatable
    assert not request.repeatable


def test_client_that_leaves_before_its_first_content_is_no_request() -> None:
    with pytest.raises(ClientLeft):
        forwarded(Client()).begin_with(LEFT)


@pytest.mark.parametrize("length", [None, b"11"])
async def test_content_in_three_parts_reaches_the_upstream_whole(length: bytes | None) -> None:
    heard = bytearray()
    client = Client(part(b"", True), part(b"o wor", True), part(b"ld"))
    fields = [(b"content-length", length)] if length else []
    async with connected(recording(heard)) as connection:
        request = forwarded(client, "POST", "/", *fields)
        request.begin_with(part(b"hell", True))
        await request.run(connection)

    content = bytes(heard).partition(b"\r\n\r\n")[2]
    whole = b"4\r\nhell\r\n5\r\no wor\r\n2\r\nld\r\n0\r\n\r\n" if length is None else b"hello world"
    assert content == whole
    assert client.content == b"ok"


@pytest.mark.parametrize(("first", "then"), [(b"123456", None), (b"123", b"4567"), (b"123", b"4")])
async def test_content_that_is_not_as_long_as_it_says_never_reaches_the_upstream_as_whole(
    first: bytes, then: bytes | None
) -> None:
    heard = bytearray()
    client = Client(*([] if then is None else [part(then)]))
    async with connected(recording(heard)) as connection:
        request = forwarded(client, "POST", "/", (b"content-length", b"5"))
        request.begin_with(part(first, then is not None))
        with pytest.raises(LocalProtocolError, match="Content-Length"):
            await request.run(connection)

        connection.close()
    assert client.got == []
    assert b"4567" not in heard


async def test_client_that_leaves_within_its_content_takes_the_connection_with_it() -> None:
    client = Client(part(b"b", True), LEFT)
    async with connected(recording(bytearray())) as connection:
        request = forwarded(client, "POST", "/")
        request.begin_with(part(b"a", True))
        with pytest.raises(ClientLeft):
            await request.run(connection)

        assert connection.closed
    assert request.left


async def test_client_that_leaves_while_the_upstream_thinks_is_noticed_by_the_slow_watch() -> None:
    client, begun = Client(), asyncio.Event()

    async def thinking(conversation: Conversation) -> None:
        await conversation.head()
        begun.set()
        await conversation.reader.read()

    async with connected(thinking) as connection:
        request = forwarded(client)
        running = asyncio.ensure_future(request.run(connection))
        await begun.wait()
        assert connection.when_slow is not None
        assert connection.when_slow()
        client.leave()
        with pytest.raises(ClientLeft):
            await running

    assert request.left
    assert connection.when_slow is None


@pytest.mark.parametrize("offered", [True, False])
async def test_links_of_each_103_go_to_a_client_that_takes_them(offered: bool) -> None:
    informed = b"HTTP/1.1 103 Early Hints\r\nlink: %b\r\nlink: %b\r\n\r\n"
    response = informed % (LINK, LINK) + informed % (LINK, LINK) + OK
    client = Client()
    extensions: dict[str, Any] = {"http.response.early_hint": {}} if offered else {}
    async with connected(answering(response)) as connection:
        await forwarded(client, extensions=extensions).run(connection)

    hints = [message["links"] for message in client.got if "links" in message]
    assert hints == ([[LINK, LINK]] * 2 if offered else [])
    assert client.content == b"ok"


async def test_103_without_links_and_other_1xx_go_to_nobody() -> None:
    response = (
        b"HTTP/1.1 103 Early Hints\r\nx: y\r\n\r\n"
        b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + OK
    )
    client = Client()
    async with connected(answering(response)) as connection:
        await forwarded(client).run(connection)

    assert client.kinds() == ["start", "body"]


async def test_content_of_a_client_that_expects_a_100_waits_for_the_upstreams() -> None:
    order: list[str] = []
    client = Client(part(b"late"))

    async def script(conversation: Conversation) -> None:
        await conversation.head()
        order.append("100")
        await conversation.say(b"HTTP/1.1 100 Continue\r\n\r\n")
        order.append((await conversation.reader.readexactly(4)).decode())
        await conversation.say(OK)

    async with connected(script) as connection:
        fields = ((b"expect", b"100-continue"), (b"content-length", b"4"))
        await forwarded(client, "POST", "/", *fields).run(connection)

    assert order == ["100", "late"]
    assert client.content == b"ok"


async def test_response_that_comes_before_all_of_the_content_is_passed_on() -> None:
    client = Client()

    async def script(conversation: Conversation) -> None:
        await conversation.head()
        await conversation.say(OK.replace(b"200 OK", b"413 Too Large"))

    async with connected(script) as connection:
        request = forwarded(client, "POST", "/")
        request.begin_with(part(b"much", True))
        await request.run(connection)

    assert (request.status, client.content) == (413, b"ok")


@pytest.mark.parametrize("offered", [True, False])
async def test_trailers_go_to_a_client_that_takes_them(offered: bool) -> None:
    response = (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n"
        b"2\r\nok\r\n0\r\nx-sum: 9\r\n\r\n"
    )
    client = Client()
    extensions: dict[str, Any] = {"http.response.trailers": {}} if offered else {}
    async with connected(answering(response)) as connection:
        await forwarded(client, extensions=extensions).run(connection)

    assert client.content == b"ok"
    assert client.got[0].get("trailers", False) is offered
    assert (client.kinds()[-1] == "trailers") is offered
    if offered:
        assert (b"x-sum", b"9") in client.got[-1]["headers"]


UNANNOUNCED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n"


@pytest.mark.parametrize(
    ("method", "at_once", "passes"),
    [("POST", False, True), ("POST", True, True), ("GET", True, False), ("GET", False, False)],
)
async def test_trailers_that_were_not_announced_pass_unless_the_cache_may_store_the_response(
    method: str, at_once: bool, passes: bool
) -> None:
    client = Client()

    async def script(conversation: Conversation) -> None:
        await conversation.head()
        rest = b"0\r\nx-sum: 9\r\n\r\n"
        await conversation.say(UNANNOUNCED + (rest if at_once else b""))
        if not at_once:
            await client.got_content.wait()
            await conversation.say(rest)

    async with connected(script) as connection:
        extensions: dict[str, Any] = {"http.response.trailers": {}}
        request = forwarded(client, method, "/", extensions=extensions)
        request.begin_with(part(b""))
        await request.run(connection)

    assert client.content == b"ok"
    assert (client.kinds()[-1] == "trailers") is passes
    if passes:
        assert (b"x-sum", b"9") in client.got[-1]["headers"]


async def test_response_without_a_date_gets_one_and_another_keeps_its_own() -> None:
    dates = []
    for response in (OK, OK.replace(b"date: Thu, 01 Jan 2026 00:00:00 GMT\r\n", b"")):
        client = Client()
        async with connected(answering(response)) as connection:
            await forwarded(client).run(connection)
        dates.append([value for name, value in client.got[0]["headers"] if name == b"date"])

    assert dates[0] == [b"Thu, 01 Jan 2026 00:00:00 GMT"]
    assert len(dates[1]) == 1
    assert dates[1] != dates[0]


@pytest.mark.parametrize(
    "broken", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf", b"not HTTP at all\r\n\r\n"]
)
async def test_response_that_breaks_off_is_an_error_of_the_upstream(broken: bytes) -> None:
    client = Client()

    async def script(conversation: Conversation) -> None:
        await conversation.head()
        await conversation.say(broken)

    async with connected(script) as connection:
        request = forwarded(client)
        with pytest.raises(UpstreamError):
            await request.run(connection)

    assert request.started is (b"half" in broken)
    assert not request.left


async def test_place_in_a_trace_goes_out_with_the_request_and_not_with_the_next() -> None:
    heard, second = bytearray(), bytearray()
    async with connected(recording(heard)) as connection:
        request = forwarded(Client())
        request.trace = [(b"traceparent", b"00-1-2-01")]
        await request.run(connection)
    async with connected(recording(second)) as connection:
        await forwarded(Client()).run(connection)

    assert b"traceparent: 00-1-2-01\r\n" in heard
    assert b"traceparent" not in second
