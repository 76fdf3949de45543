"""One HTTP/2 connection: what the application is told, what goes out and when, and how it ends."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from functools import partial
from typing import Any, cast

import pytest
from ngh2 import ErrorCode, Setting

from headstart.config import ServerOptions, WireLimits
from headstart.deliver.outcome import Hint, Push, PushState
from headstart.reasons import Closing, Refusal
from headstart.server.http2 import Http2Connection
from headstart.wire.frames import Frame
from tests.server.apps import (
    PUSHED_BODY,
    Held,
    Message,
    Receive,
    Recorder,
    Scope,
    Send,
    answer,
    body,
    hello,
    lifespan,
    pushing,
    read_all,
    start,
)
from tests.server.live import Gate, running, until
from tests.server.raw import RawClient
from tests.server.test_http1 import counters

NO_ERROR, PROTOCOL_ERROR = "NO_ERROR", "PROTOCOL_ERROR"
NAVIGATION = [(b"sec-fetch-mode", b"navigate")]
NO_CORS = [(b"sec-fetch-mode", b"no-cors"), (b"sec-fetch-dest", b"style")]
NO_PUSH: dict[int, int] = {Setting.ENABLE_PUSH: 0}
STYLE: Message = {"type": "http.response.push", "path": "/style.css", "headers": []}
LINKS: Message = {
    "type": "http.response.early_hint",
    "links": [b"</style.css>; rel=preload; as=style"],
}


def kinds(frames: list[Frame]) -> list[str]:
    return [frame.kind for frame in frames]


# Scope.


def test_scope_says_what_was_asked_and_by_whom() -> None:
    recorder = Recorder()
    with running(recorder) as server, RawClient(server.port) as client:
        client.get(b"/a%20b/%C3%A9?q=1&q=%20", headers=[(b"x-a", b"1"), (b"x-a", b"2")])
        address = client.socket.getsockname()[:2]
        scope = recorder.next()

    assert {name: scope[name] for name in scope if name not in ("extensions", "asgi")} == {
        "type": "http",
        "http_version": "2",
        "method": "GET",
        "scheme": "http",
        "path": "/a b/é",
        "raw_path": b"/a%20b/%C3%A9",
        "query_string": b"q=1&q=%20",
        "root_path": "",
        "headers": [(b"host", b"localhost"), (b"x-a", b"1"), (b"x-a", b"2")],
        "client": address,
        "server": ("127.0.0.1", server.port),
        "state": {},
    }
    assert scope["asgi"]["version"] == "3.0"


def test_scheme_is_the_connections_own() -> None:
    recorder = Recorder()
    with running(recorder, tls=True) as server, RawClient(server.port, tls=True) as client:
        client.scheme = b"http"
        client.get()

    assert recorder.next()["scheme"] == "https"


def test_root_path_goes_before_the_path() -> None:
    recorder = Recorder()
    with running(recorder, root_path="/app") as server, RawClient(server.port) as client:
        client.get(b"/x%20y")
        scope = recorder.next()

    assert (scope["root_path"], scope["path"]) == ("/app", "/app/x y")
    assert scope["raw_path"] == b"/app/x%20y"


def test_state_of_the_lifespan_is_there_and_each_request_has_its_own_copy() -> None:
    seen: list[dict[str, Any]] = []
    shared: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            scope["state"]["shared"] = shared
            return await lifespan(receive, send)
        seen.append(dict(scope["state"]))
        scope["state"]["own"] = 1
        return await answer(send)

    with running(app) as server, RawClient(server.port) as client:
        client.get()
        client.get()

    assert seen == [{"shared": shared}, {"shared": shared}]
    assert seen[0]["shared"] is shared


def test_cookie_crumbs_are_one_field() -> None:
    recorder = Recorder()
    with running(recorder) as server, RawClient(server.port) as client:
        client.get(headers=[(b"cookie", b"a=1"), (b"cookie", b"b=2")])

    assert (b"cookie", b"a=1; b=2") in recorder.next()["headers"]


@pytest.mark.parametrize(
    ("request_of", "status"),
    [
        ({"path": b"/" + b"x" * 9000}, 414),
        ({"headers": [(b"x", b"y" * 9000)] * 2}, 431),
        ({"headers": [(b"host", b"elsewhere")]}, 400),
        ({"headers": [(b"content_length", b"1")]}, 400),
    ],
    ids=["target", "fields", "host", "shadow"],
)
def test_refused_request_never_reaches_the_application(
    request_of: dict[str, Any], status: int
) -> None:
    recorder = Recorder()
    with running(recorder) as server, RawClient(server.port) as client:
        response = client.response(client.request(**request_of))

        assert response.status == status
        assert recorder.empty
        assert client.get().status == 200


def test_stream_that_is_reset_for_the_clients_mistake_is_logged_and_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "headstart.refused")
    recorder = Recorder()
    with running(recorder) as server, RawClient(server.port) as client:
        response = client.response(client.request(b"/\x1b"))
        counted = counters(server)

        assert response.reset == ErrorCode.PROTOCOL_ERROR
        assert recorder.empty
        assert counted.requests == {Closing.MALFORMED: 1}
        assert client.get().status == 200
    assert caplog.messages[-1].endswith(" - request refused: malformed (reset with PROTOCOL_ERROR)")


# Extensions.

ALWAYS = {"headstart", "http.response.pathsend"}
PUSH, HINT, TRAILERS = (f"http.response.{name}" for name in ("push", "early_hint", "trailers"))
CASES: dict[str, tuple[dict[int, int], bytes, list[tuple[bytes, bytes]], ServerOptions, set[str]]]
CASES = {
    "plain client": ({}, b"GET", [], ServerOptions(), {PUSH, HINT}),
    "ENABLE_PUSH 0": (NO_PUSH, b"GET", [], ServerOptions(), {HINT}),
    "POST": ({}, b"POST", [], ServerOptions(), {PUSH}),
    "HEAD": ({}, b"HEAD", [], ServerOptions(), {PUSH}),
    "navigation": (NO_PUSH, b"GET", NAVIGATION, ServerOptions(), {HINT}),
    "sub-resource": (NO_PUSH, b"GET", NO_CORS, ServerOptions(), set()),
    "POST navigation": (NO_PUSH, b"POST", NAVIGATION, ServerOptions(), set()),
    "unmarked, not wanted": (
        NO_PUSH,
        b"GET",
        [],
        ServerOptions(hint_unmarked_clients=False),
        set(),
    ),
    "navigation, unmarked not wanted": (
        NO_PUSH,
        b"GET",
        NAVIGATION,
        ServerOptions(hint_unmarked_clients=False),
        {HINT},
    ),
    "push off": ({}, b"GET", [], ServerOptions(push=False), {HINT}),
    "hints off": ({}, b"GET", [], ServerOptions(early_hints=False), {PUSH}),
    "te trailers": (NO_PUSH, b"POST", [(b"te", b"trailers")], ServerOptions(), {TRAILERS}),
}


@pytest.mark.parametrize("case", CASES)
def test_extensions_are_offered_only_where_they_will_work(case: str) -> None:
    settings, method, headers, options, expected = CASES[case]
    recorder = Recorder()
    with running(recorder, options) as server, RawClient(server.port, settings) as client:
        client.response(client.request(method=method, headers=headers))

    assert set(recorder.next()["extensions"]) == ALWAYS | expected


def test_pushed_request_is_offered_neither_push_nor_hint() -> None:
    recorder = Recorder()

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/":
            await send(STYLE)
        await answer(send)

    recorder.act = act
    with running(recorder) as server, RawClient(server.port) as client:
        client.get()
        client.until(lambda: client.promises)
        client.response(2)
        page, pushed = recorder.next(), recorder.next()

    assert PUSH in page["extensions"]
    assert set(pushed["extensions"]) == ALWAYS
    assert page["extensions"]["headstart"]["pushed"] is False
    assert pushed["extensions"]["headstart"]["pushed"] is True
    assert (
        pushed["extensions"]["headstart"]["connection"]
        == page["extensions"]["headstart"]["connection"]
    )


def test_client_that_changes_its_mind_about_pushes_is_believed() -> None:
    recorder = Recorder()
    with running(recorder) as server, RawClient(server.port) as client:
        client.get()
        client.update_settings(NO_PUSH)
        client.get()

    assert [PUSH in recorder.next()["extensions"] for _ in range(2)] == [True, False]


# Server Push.


def sending_first(*messages: Message) -> Recorder:
    """Sends `messages` with the page; answers every other path with itself."""

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] != "/":
            return await answer(send, scope["path"].encode())
        for message in messages:
            await send(message)
        await answer(send, b"page")
        return None

    return Recorder(act)


def test_push_is_a_request_of_its_own_and_its_promise_comes_before_the_page() -> None:
    with running(pushing) as server, RawClient(server.port) as client:
        page = client.get(b"/page?x=1")
        pushed = client.response(2)

        assert (page.status, page.body) == (200, b"page")
        assert (pushed.status, pushed.body) == (200, PUSHED_BODY)
        assert client.promises[2] == [
            (b":method", b"GET"),
            (b":scheme", b"http"),
            (b":authority", b"localhost"),
            (b":path", b"/style.css"),
            (b"referer", b"http://localhost/page?x=1"),
        ]
        order = kinds([f for f in client.frames if f.stream_id == 1 and f.status != 103])
        assert order == ["HEADERS", "PUSH_PROMISE", "HEADERS", "DATA"]


def test_application_of_a_push_sees_the_promised_request() -> None:
    message = {**STYLE, "path": "/a b?q=ä#part", "headers": [(b"X-Own", b"1")]}
    recorder = sending_first(message)
    with running(recorder) as server, RawClient(server.port) as client:
        client.get()
        client.response(2)
        recorder.next()
        scope = recorder.next()

    assert (scope["method"], scope["path"], scope["query_string"]) == ("GET", "/a b", b"q=%C3%A4")
    assert scope["headers"] == [
        (b"host", b"localhost"),
        (b"x-own", b"1"),
        (b"referer", b"http://localhost/"),
    ]


def test_requests_with_the_same_fields_share_what_is_kept_of_them() -> None:
    recorder = Recorder()
    kept = []
    with running(recorder) as server, RawClient(server.port) as client:
        for value in (b"1", b"1", b"1", b"2"):
            client.get(b"/", headers=[(b"x-a", value)])
            kept.append(recorder.next()["extensions"]["headstart"]["kept"])

    # The first is not known to be the first of several.
    assert kept[1] is kept[2]
    assert kept[3] is not kept[2]


def test_what_became_of_a_push_can_be_read() -> None:
    sent, refused = Push("/style.css"), Push("/style.css")
    recorder = sending_first({**STYLE, "headstart": sent}, {**STYLE, "headstart": refused})
    with running(recorder) as server, RawClient(server.port) as client:
        client.get()
        client.response(2)
        until(lambda: sent.state is PushState.FINISHED, "the push's end")
        pushes = recorder.next()["extensions"]["headstart"]["pushes"]

        assert pushes == [sent, refused]
        assert refused.refusal is Refusal.ALREADY_PUSHED
        assert len(client.promises) == 1


def test_push_that_the_client_resets_is_seen_and_the_page_goes_on() -> None:
    push, gate, gone = Push("/style.css"), Gate(), threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/style.css":
            await read_all(receive)
            assert (await receive())["type"] == "http.disconnect"
            gone.set()
            return
        await send({**STYLE, "headstart": push})
        await send(start())
        await send(body(b"first", True))
        await gate.passed()
        await send(body(b" second"))

    with running(app, lifespan="off") as server, RawClient(server.port) as client:
        stream_id = client.request()
        client.until(lambda: client.promises)
        client.reset(2)
        assert gone.wait(20)
        gate.open()

        assert client.response(stream_id).body == b"first second"
        assert push.state is PushState.RESET


def test_push_to_a_client_that_refuses_pushes_is_refused_and_the_page_unharmed() -> None:
    push = Push("/style.css")
    with (
        running(sending_first({**STYLE, "headstart": push})) as server,
        RawClient(server.port, NO_PUSH) as client,
    ):
        assert client.get().body == b"page"
        client.settle()

        assert push.refusal is Refusal.PUSH_DISABLED
        assert client.received("PUSH_PROMISE") == []


def test_push_is_refused_where_the_operator_switched_pushes_off() -> None:
    push = Push("/style.css")
    options = ServerOptions(push=False)
    app = sending_first({**STYLE, "headstart": push})
    with running(app, options) as server, RawClient(server.port) as client:
        assert client.get().body == b"page"
        client.settle()

        assert push.refusal is Refusal.UNSUPPORTED
        assert client.promises == {}


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"path": "relative.css"}, Refusal.BAD_PATH),
        ({"path": "https://elsewhere/x"}, Refusal.BAD_PATH),
        ({"method": "POST"}, Refusal.METHOD),
        ({"headers": [(b"if-none-match", b'"x"')]}, Refusal.FORBIDDEN_FIELD),
    ],
)
def test_push_that_the_rules_forbid_is_refused(change: Message, refusal: Refusal) -> None:
    push = Push("")
    app = sending_first({**STYLE, **change, "headstart": push})
    with running(app) as server, RawClient(server.port) as client:
        assert client.get().body == b"page"
        client.settle()

        assert push.refusal is refusal
        assert client.promises == {}


def test_credentials_that_the_application_gives_a_push_are_carried() -> None:
    headers = [(b"cookie", b"a=1"), (b"authorization", b"Basic x")]
    with (
        running(sending_first({**STYLE, "headers": headers})) as server,
        RawClient(server.port) as client,
    ):
        client.get()
        client.response(2)

        assert set(headers) < set(client.promises[2])


def test_page_is_written_before_what_is_pushed_with_it() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/style.css":
            return await answer(send, bytes(30_000))
        await send(STYLE)
        return await answer(send, bytes(30_000))

    with running(app, lifespan="off") as server, RawClient(server.port) as client:
        client.get()
        client.response(2)
        streams = [frame.stream_id for frame in client.received("DATA")]

        assert streams == sorted(streams)


def test_connection_lost_with_a_push_under_way_is_a_reset_push() -> None:
    push, gate = Push("/style.css"), Gate()

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/":
            await send({**STYLE, "headstart": push})
            return await answer(send)
        await gate.passed()
        return None

    with running(Recorder(act)) as server:
        with RawClient(server.port) as client:
            client.get()
        until(lambda: push.state is PushState.RESET, "the reset")
        gate.open()


# 103 Early Hints.


def test_103_comes_before_the_response_and_without_end_stream() -> None:
    with running(sending_first(LINKS)) as server, RawClient(server.port, NO_PUSH) as client:
        response = client.get()

        assert response.informational == [
            [(b":status", b"103"), (b"link", b"</style.css>; rel=preload; as=style")]
        ]
        assert (response.status, response.body) == (200, b"page")
        hint, final = client.received("HEADERS")
        assert (hint.status, final.status) == (103, 200)
        assert ("END_STREAM", True) not in hint.flags


def test_103_goes_out_while_the_application_still_thinks() -> None:
    gate = Gate()

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        await send(LINKS)
        await gate.passed()
        await answer(send, b"page")

    with running(Recorder(act)) as server, RawClient(server.port) as client:
        stream_id = client.request()
        client.until(lambda: client.responses[stream_id].informational)
        gate.open()

        assert client.response(stream_id).body == b"page"


def test_hints_of_one_turn_are_one_103() -> None:
    font: Message = {**LINKS, "links": [b"</a.woff2>; rel=preload; as=font; crossorigin"]}
    with running(sending_first(LINKS, font)) as server, RawClient(server.port) as client:
        response = client.get()

        assert [len(fields) for fields in response.informational] == [3]


def test_second_103_is_refused() -> None:
    late = Hint()

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        await send(LINKS)
        await asyncio.sleep(0.01)
        await send({**LINKS, "headstart": late})
        await answer(send, b"page")

    with running(Recorder(act)) as server, RawClient(server.port) as client:
        response = client.get()

        assert len(response.informational) == 1
        assert late.refusal is Refusal.ALREADY_HINTED
        assert response.body == b"page"


@pytest.mark.parametrize(
    ("messages", "headers", "refusal"),
    [
        ([{**LINKS, "links": []}], [], Refusal.NO_LINKS),
        ([{**LINKS, "links": [b"<" + b"x" * 9000 + b">"]}], [], Refusal.TOO_LARGE),
        ([LINKS], NO_CORS, Refusal.NOT_NAVIGATION),
    ],
    ids=["no links", "too large", "not a navigation"],
)
def test_hint_that_would_not_work_is_refused(
    messages: list[Message], headers: list[tuple[bytes, bytes]], refusal: Refusal
) -> None:
    hint = Hint()
    app = sending_first(*({**message, "headstart": hint} for message in messages))
    with running(app) as server, RawClient(server.port) as client:
        response = client.get(headers=headers)

        assert (hint.refusal, bool(hint)) == (refusal, False)
        assert (response.informational, response.body) == ([], b"page")


def test_hint_is_refused_where_the_operator_switched_hints_off() -> None:
    hint = Hint()
    options = ServerOptions(early_hints=False)
    app = sending_first({**LINKS, "headstart": hint})
    with running(app, options) as server, RawClient(server.port) as client:
        assert client.get().informational == []
        assert hint.refusal is Refusal.UNSUPPORTED


def test_hint_after_the_start_is_refused() -> None:
    hint = Hint()

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        await send({**LINKS, "headstart": hint})
        await send(body(b"page"))

    with running(Recorder(act)) as server, RawClient(server.port) as client:
        response = client.get()

        assert hint.refusal is Refusal.RESPONSE_STARTED
        assert (response.informational, response.body) == ([], b"page")


def test_pushed_request_sends_no_hint() -> None:
    hint = Hint()

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        await send(STYLE if scope["path"] == "/" else {**LINKS, "headstart": hint})
        await answer(send, b"x")

    with running(Recorder(act)) as server, RawClient(server.port) as client:
        client.get()

        assert client.response(2).informational == []
        assert hint.refusal is Refusal.UNSUPPORTED


def test_link_with_a_line_break_is_an_error_in_the_application() -> None:
    bad: Message = {**LINKS, "links": [b"</x>\r\nset-cookie: a=b"]}
    with running(sending_first(bad)) as server, RawClient(server.port) as client:
        response = client.get()

        assert (response.status, response.informational) == (500, [])


# Writing.


class _CountingTransport:
    """Passes everything on and notes how much was written at once."""

    def __init__(self, transport: Any, writes: list[bytes]) -> None:
        self._transport = transport
        self._writes = writes

    def write(self, data: bytes) -> None:
        self._writes.append(bytes(data))
        self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Every write of every HTTP/2 connection of this process."""
    written: list[bytes] = []
    made = Http2Connection.connection_made

    def counting(self: Http2Connection, transport: Any) -> None:
        made(self, cast(asyncio.Transport, _CountingTransport(transport, written)))

    monkeypatch.setattr(Http2Connection, "connection_made", counting)
    return written


def test_response_of_three_messages_is_one_write(writes: list[bytes]) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        await send(body(b"one", True))
        await send(body(b"two"))

    with running(app, lifespan="off") as server, RawClient(server.port) as client:
        client.settle()
        writes.clear()

        assert client.get().body == b"onetwo"
        assert len(writes) == 1


def test_answers_to_requests_that_came_together_are_one_write(writes: list[bytes]) -> None:
    with running(hello) as server, RawClient(server.port) as client:
        client.settle()
        writes.clear()
        pseudo = [(b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"localhost")]
        ids = [
            client.engine.send_request([*pseudo, (b":path", b"/x")], end_stream=True)
            for _ in range(20)
        ]
        client.flush()
        for stream_id in ids:
            assert client.response(stream_id).status == 200

        assert len(writes) == 1


@pytest.mark.skipif(sys.version_info < (3, 12), reason="Python 3.11 has no eager tasks")
def test_call_of_the_application_begins_at_once() -> None:
    order: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        asyncio.get_running_loop().call_soon(order.append, "next turn")
        order.append(scope["path"])
        await answer(send)

    with running(app, lifespan="off") as server, RawClient(server.port) as client:
        pseudo = [(b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"localhost")]
        for path in (b"/1", b"/2"):
            client.engine.send_request([*pseudo, (b":path", path)], end_stream=True)
        client.flush()
        client.response(3)

    assert order[:2] == ["/1", "/2"]


def test_reader_that_stops_stops_the_application_at_a_bound(writes: list[bytes]) -> None:
    sent, full = 0, False

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal sent, full
        await send(start())
        for _ in range(400):
            try:
                await asyncio.wait_for(
                    asyncio.shield(part := asyncio.ensure_future(send(body(bytes(100_000), True)))),
                    0.3,
                )
            except TimeoutError:
                full = True
                await part
            sent += 100_000
        await send(body())

    # Windows wide open: what stops the server is the socket alone.
    settings: dict[int, int] = {Setting.INITIAL_WINDOW_SIZE: 2**31 - 1}
    with running(app, lifespan="off") as server, RawClient(server.port, settings) as client:
        client.engine.set_local_window_size(2**31 - 1)
        client.flush()
        stream_id = client.request()
        until(lambda: full, "the socket's end")
        # In this order: should there be still room in the socket, a part may be written meanwhile.
        taken, unread = sent, sum(map(len, writes))

        assert taken < 40_000_000
        assert taken - unread <= 2 * WireLimits().max_queued_stream
        assert client.response(stream_id).received == 40_000_000


# Limits.


def test_client_may_not_leave_more_calls_behind_than_streams() -> None:
    held = Held()
    options = ServerOptions(limits=WireLimits(max_concurrent_streams=5))
    with running(held, options) as server, RawClient(server.port) as client:
        client.settle()
        for _ in range(5):
            client.reset(client.request())
        client.settle()
        stream_id = client.request()

        assert client.response(stream_id).reset == ErrorCode.REFUSED_STREAM
        assert held.waiting == 5
        held.gate.open()


class Endless:
    """An application that never asks whether its client is there; only `/answered` is answered."""

    def __init__(self) -> None:
        self.gate = Gate()
        self.begun = 0
        self.ends: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "lifespan":
            return await lifespan(receive, send)
        if scope["path"] == "/answered":
            await answer(send, b"page")
        self.begun += 1
        try:
            await self.gate.passed()
            self.ends.append("returned")
        except asyncio.CancelledError:
            self.ends.append("cancelled")
            raise
        return None


@pytest.mark.parametrize("leave", ["reset", "close"])
def test_call_whose_client_left_is_cancelled_after_its_grace(leave: str) -> None:
    app = Endless()
    with running(app, ServerOptions(call_grace=0.05)) as server, RawClient(server.port) as client:
        stream_id = client.request()
        until(lambda: app.begun == 1, "the call")
        if leave == "reset":
            client.reset(stream_id)
        else:
            client.socket.close()
        until(lambda: app.ends, "the end of the call")

    assert app.ends == ["cancelled"]


def has_begun(app: Endless, calls: int) -> bool:
    return app.begun == calls


def test_work_behind_a_whole_answer_goes_on_without_its_client() -> None:
    app = Endless()
    with running(app, ServerOptions(call_grace=0.05)) as server:
        for begun, path in enumerate((b"/answered", b"/silent")):
            with RawClient(server.port) as client:
                client.request(path, method=b"POST", end_stream=False)
                until(partial(has_begun, app, begun + 1), "the call")
        until(lambda: app.ends, "the end of the call that was not answered")
        app.gate.open()
        until(lambda: len(app.ends) == 2, "the end of the other")

    assert app.ends == ["cancelled", "returned"]


def test_uvicorns_concurrency_limit_holds() -> None:
    with running(hello, limit_concurrency=1) as server, RawClient(server.port) as client:
        assert client.get().status == 503


def test_client_that_breaks_the_protocol_is_told_and_the_application_too(
    caplog: pytest.LogCaptureFixture,
) -> None:
    recorder = Recorder()

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        await read_all(receive)
        recorder.note((await receive())["type"])

    recorder.act = act
    with running(recorder) as server, RawClient(server.port) as client:
        client.request()
        recorder.next()
        client.socket.sendall(bytes([0, 0, 1, 0, 0, 0, 0, 0, 0, 0]))  # DATA on stream 0
        client.until_closed()

        assert [error for _, error in client.goaways] == [PROTOCOL_ERROR]
        assert recorder.next() == "http.disconnect"
        assert "PROTOCOL_ERROR" in caplog.text


def test_requests_are_logged_as_uvicorn_logs_them(caplog: pytest.LogCaptureFixture) -> None:
    with (
        caplog.at_level(logging.INFO, "uvicorn.access"),
        running(pushing) as server,
        RawClient(server.port) as client,
    ):
        client.get(b"/page?x=1")
        client.response(2)
        port = client.socket.getsockname()[1]

    lines = [r.getMessage() for r in caplog.records if r.name == "uvicorn.access"]
    assert lines == [
        f'127.0.0.1:{port} - "GET /page?x=1 HTTP/2" 200',
        f'127.0.0.1:{port} - "GET /style.css HTTP/2 pushed" 200',
    ]


# The end.


def test_idle_connection_ends_with_a_goaway() -> None:
    with running(hello, skipping=True) as server, RawClient(server.port) as client:
        assert client.get().status == 200
        server.skip(2 * ServerOptions().idle_timeout)
        client.until_closed()

        assert [error for _, error in client.goaways] == [NO_ERROR]


def test_connection_with_a_request_under_way_is_not_idle() -> None:
    held = Held()
    with running(held, skipping=True) as server, RawClient(server.port) as client:
        stream_id = client.request(b"/held")
        client.settle()
        server.skip(5 * ServerOptions().idle_timeout, steps=40)
        client.settle()
        held.gate.open()

        assert client.response(stream_id).body == b"/held"
        assert client.goaways == []


def test_connection_that_made_all_its_requests_ends_gracefully() -> None:
    options = ServerOptions(limits=WireLimits(max_requests=3))
    with running(Recorder(), options) as server, RawClient(server.port) as client:
        bodies = [client.get().body for _ in range(3)]
        client.until_closed()

        assert bodies == [b"page"] * 3
        assert client.goaways == [(2**31 - 1, "NO_ERROR"), (5, "NO_ERROR")]


def test_stop_lets_streams_in_flight_finish_and_says_goaway_twice() -> None:
    held = Held()
    with (
        running(held, timeout_graceful_shutdown=20) as server,
        RawClient(server.port) as client,
    ):
        streams = [client.request(b"/%d" % n) for n in range(20)]
        until(lambda: held.waiting == 20, "the requests")
        server.begin_to_stop()
        client.until(lambda: len(client.goaways) == 2)
        assert server.alive
        held.gate.open()
        bodies = [client.response(stream_id).body for stream_id in streams]
        client.until_closed()

        assert bodies == [b"/%d" % n for n in range(20)]
        assert [last for last, _ in client.goaways] == [2**31 - 1, streams[-1]]
        server.stop()


def test_stop_takes_the_request_that_crossed_the_first_goaway() -> None:
    held = Held()
    with (
        running(held, timeout_graceful_shutdown=20) as server,
        RawClient(server.port) as client,
    ):
        first = client.request(b"/first")
        until(lambda: held.waiting == 1, "the request")
        server.begin_to_stop()
        until(lambda: not server.server.servers[0].is_serving(), "the end of listening")
        crossed = client.request(b"/crossed")
        until(lambda: held.waiting == 2, "the second request")
        held.gate.open()

        assert client.response(crossed).body == b"/crossed"
        assert client.response(first).body == b"/first"
        client.until_closed()


def test_stop_does_not_wait_for_ever_for_the_answer_to_its_ping() -> None:
    with running(hello) as server, RawClient(server.port) as client:
        client.settle()
        server.begin_to_stop()
        received = b""
        while part := client.socket.recv(65536):  # nothing is answered
            received += part

        assert received.count(bytes([7, 0, 0, 0, 0, 0])) == 2  # GOAWAY on stream 0


def test_stop_closes_an_idle_connection_at_once() -> None:
    with running(hello, timeout_graceful_shutdown=20) as server, RawClient(server.port) as client:
        client.get()
        server.begin_to_stop()
        client.until_closed()

        assert [error for _, error in client.goaways] == [NO_ERROR] * 2
        server.stop()


def test_stop_pushes_nothing_new() -> None:
    push, gate, waiting = Push("/style.css"), Gate(), threading.Event()

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        waiting.set()
        await gate.passed()
        await send({**STYLE, "headstart": push})
        await answer(send, b"page")

    with (
        running(Recorder(act), timeout_graceful_shutdown=20) as server,
        RawClient(server.port) as client,
    ):
        stream_id = client.request()
        assert waiting.wait(20)
        server.begin_to_stop()
        client.until(lambda: client.goaways)
        gate.open()

        assert client.response(stream_id).body == b"page"
        assert push.refusal is Refusal.CONNECTION_CLOSING
        assert client.promises == {}


def test_stop_gives_up_after_the_time_for_it(caplog: pytest.LogCaptureFixture) -> None:
    held = Held()
    with (
        running(held, timeout_graceful_shutdown=1) as server,
        RawClient(server.port) as client,
    ):
        stream_id = client.request()
        until(lambda: held.waiting, "the request")
        server.begin_to_stop()
        client.until(lambda: client.responses[stream_id].ended or client.closed)
        until(lambda: not server.alive, "the end")

    assert "timeout graceful shutdown exceeded" in caplog.text


def test_client_that_says_goaway_gets_its_answers_and_no_pushes() -> None:
    push, gate = Push("/style.css"), Gate()

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        await gate.passed()
        await send({**STYLE, "headstart": push})
        await answer(send, b"page")

    with running(Recorder(act)) as server, RawClient(server.port) as client:
        stream_id = client.request()
        client.engine.send_goaway()
        client.settle()
        gate.open()

        assert client.response(stream_id).body == b"page"
        assert push.refusal is Refusal.CONNECTION_CLOSING
        assert client.goaways == []


def test_response_that_is_too_large_to_be_sent_is_an_error_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start(200, [(b"x-large", b"a" * 70_000)]))
        await send(body(b"page"))

    with running(Recorder(act)) as server, RawClient(server.port) as client:
        assert client.get().reset == ErrorCode.INTERNAL_ERROR

    assert "The response could not be sent: outbound header block exceeds" in caplog.text
