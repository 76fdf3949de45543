"""Pushes and hints of one connection: what is promised, what goes out and when, what is refused."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any

import pytest

from headstart.config import ServerOptions, WireLimits
from headstart.deliver.outcome import Hint, Push, PushState
from headstart.reasons import Refusal
from headstart.server.cycle import Application
from headstart.server.worker import Worker
from headstart.wire.frames import Frame
from tests.django.serving import NAVIGATION
from tests.server.apps import (
    LINKS,
    NO_CORS,
    NO_PUSH,
    PUSHED_BODY,
    STYLE,
    Message,
    Receive,
    Recorder,
    Scope,
    Send,
    answer,
    body,
    pushing,
    read_all,
    sending_first,
    start,
)
from tests.server.live import PATIENCE, Gate, running, until
from tests.server.raw import RawClient


def kinds(frames: list[Frame]) -> list[str]:
    return [frame.kind for frame in frames]


# What is promised.


def changing(headers: list[Any]) -> Application:
    """An application that pushes two assets with fields that it changes in between."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/":
            await send({"type": "http.response.push", "path": "/a", "headers": headers})
            if isinstance(headers[0], list):
                headers[0][1] = b"two"
            else:
                headers[0] = (headers[0][0], b"two")
            await send({"type": "http.response.push", "path": "/b", "headers": headers})
        await answer(send, dict(scope["headers"]).get(b"x-number", b"-"))

    return app


@pytest.mark.parametrize("pair", [(b"X-Number", b"one"), [b"X-Number", b"one"]])
def test_fields_that_an_application_changes_between_two_pushes_are_each_pushes_own(
    pair: Any,
) -> None:
    with running(changing([pair]), lifespan="off") as server, RawClient(server.port) as client:
        assert client.get().status == 200

        promised = {dict(fields)[b":path"]: fields for fields in client.promises.values()}
        assert (b"x-number", b"one") in promised[b"/a"]
        assert (b"x-number", b"two") in promised[b"/b"]
        assert [client.response(number).body for number in (2, 4)] == [b"one", b"two"]


def test_pushes_of_the_next_page_have_the_next_pages_fields() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].startswith("/page"):
            path = scope["path"].replace("page", "asset")
            await send({"type": "http.response.push", "path": path, "headers": []})
        await answer(send)

    with running(app, lifespan="off") as server, RawClient(server.port) as client:
        for number in range(4):
            client.get(b"/page%d" % number)
        promised = [dict(fields) for fields in client.promises.values()]

    assert [fields[b":path"] for fields in promised] == [b"/asset%d" % n for n in range(4)]
    assert [fields[b"referer"].rpartition(b"/")[2] for fields in promised] == [
        b"page%d" % number for number in range(4)
    ]


def test_pushes_of_the_same_page_of_another_host_are_that_hosts() -> None:
    recorder = Recorder()

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/":
            await send({"type": "http.response.push", "path": "/a.css", "headers": []})
        await answer(send)

    recorder.act = act
    with running(recorder) as server, RawClient(server.port) as client:
        for client.authority in (b"one.test", b"two.test", b"one.test"):
            client.get()
        client.response(2 * 3)
        promised = [dict(fields) for fields in client.promises.values()]
        scopes = [dict(recorder.next()["headers"]) for _ in range(2 * 3)]

    hosts = [b"one.test", b"two.test", b"one.test"]
    assert [fields[b":authority"] for fields in promised] == hosts
    assert [fields[b"referer"] for fields in promised] == [b"http://%s/" % host for host in hosts]
    assert sorted(fields[b"host"] for fields in scopes) == sorted(2 * hosts)


def test_pushes_of_one_page_have_each_their_own_method_and_referer() -> None:
    def push(path: str, method: str, *headers: tuple[bytes, bytes]) -> Message:
        return {**STYLE, "path": path, "method": method, "headers": list(headers)}

    app = sending_first(
        push("/a", "GET"),
        push("/b", "HEAD"),
        push("/c", "GET"),
        push("/d", "GET", (b"Referer", b"http://localhost/own")),
    )
    with running(app) as server, RawClient(server.port) as client:
        client.get()

        assert [
            (fields[0][1], fields[3][1], [value for name, value in fields if name == b"referer"])
            for fields in client.promises.values()
        ] == [
            (b"GET", b"/a", [b"http://localhost/"]),
            (b"HEAD", b"/b", [b"http://localhost/"]),
            (b"GET", b"/c", [b"http://localhost/"]),
            (b"GET", b"/d", [b"http://localhost/own"]),
        ]


# Server Push.


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


def test_application_of_the_next_pages_push_sees_that_pages_method_and_client() -> None:
    """The second page's push is another sort of request, for another client of a proxy."""
    recorder = Recorder()

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].startswith("/page"):
            fields = dict(scope["headers"])
            method, client = fields[b"x-push"].decode(), fields[b"x-forwarded-for"]
            headers = [(b"x-forwarded-for", client)] if method == "GET" else []
            path = scope["path"].replace("page", "asset")
            push = {"type": "http.response.push", "path": path, "headers": headers}
            await send({**push, "method": method})
        await answer(send, b"content")

    recorder.act = act
    with running(recorder) as server, RawClient(server.port) as client:
        for number, method in enumerate([b"GET", b"HEAD", b"GET"]):
            shown = [(b"x-push", method), (b"x-forwarded-for", b"203.0.113.%d" % number)]
            client.get(b"/page%d" % number, headers=shown)
        bodies = [client.response(stream_id).body for stream_id in (2, 4, 6)]
        scopes = [recorder.next() for _ in range(6)]
        itself = client.socket.getsockname()[0]

    seen = {each["path"]: (each["method"], each["client"][0]) for each in scopes}
    assert [seen[f"/asset{number}"] for number in range(3)] == [
        ("GET", "203.0.113.0"),
        ("HEAD", itself),
        ("GET", "203.0.113.2"),
    ]
    assert bodies == [b"content", b"", b"content"]


def test_what_became_of_a_push_can_be_read() -> None:
    sent, refused = Push("/style.css"), Push("/style.css")
    recorder = sending_first({**STYLE, "headstart": sent}, {**STYLE, "headstart": refused})
    with running(recorder) as server, RawClient(server.port) as client:
        client.get()
        client.response(2)
        until(lambda: sent.state is PushState.FINISHED, "the push's end")
        pushes = recorder.next()["extensions"]["headstart"]["pushes"]

        assert pushes == [
            {"path": "/style.css", "state": "finished", "refusal": None},
            {"path": "/style.css", "state": "refused", "refusal": "already-pushed"},
        ]
        assert refused.refusal is Refusal.ALREADY_PUSHED
        assert len(client.promises) == 1


def test_application_that_makes_its_pushes_itself_finds_what_became_of_them() -> None:
    recorder = sending_first(STYLE, {**STYLE, "path": "relative"})
    with running(recorder) as server, RawClient(server.port) as client:
        client.get()
        client.response(2)
        page = recorder.next()
        until(lambda: page["extensions"]["headstart"]["pushes"][0]["state"] == "finished", "it")

    assert page["extensions"]["headstart"]["pushes"] == [
        {"path": "/style.css", "state": "finished", "refusal": None},
        {"path": "relative", "state": "refused", "refusal": "bad-path"},
    ]


def test_push_says_on_which_stream_it_is() -> None:
    pushes = [Push("/a"), Push("/b")]
    app = sending_first(*({**STYLE, "path": push.path, "headstart": push} for push in pushes))
    with running(app) as server, RawClient(server.port) as client:
        client.get()

        assert [push.stream_id for push in pushes] == list(client.promises) == [2, 4]


def test_calls_for_pushes_are_as_many_as_streams_may_be_and_no_more() -> None:
    pushes = [Push(f"/{number}") for number in range(5)]
    gates = {push.path: Gate() for push in pushes}

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in gates:
            await gates[scope["path"]].passed()
        else:
            for push in pushes if scope["path"] == "/" else pushes[4:]:
                await send({**STYLE, "path": push.path, "headstart": push})
        await answer(send, b"page")

    options = ServerOptions(limits=WireLimits(max_concurrent_streams=3))
    with running(Recorder(act), options) as server, RawClient(server.port) as client:
        client.get()
        refused = [push.refusal for push in pushes]
        gates["/0"].open()
        client.response(2)
        client.get(b"/again")
        last = pushes[4].state
        for gate in gates.values():
            gate.open()
        client.response(8)

    assert refused == [None, None, None, Refusal.TOO_MANY, Refusal.TOO_MANY]
    assert last is PushState.SENT


def test_pushed_request_pushes_nothing() -> None:
    push = Push("/more.css")

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        await send(STYLE if scope["path"] == "/" else {**STYLE, "headstart": push})
        await answer(send, b"x")

    with running(Recorder(act)) as server, RawClient(server.port) as client:
        client.get()

        assert client.response(2).status == 200
        assert push.refusal is Refusal.PUSHED_PARENT


def test_promise_that_could_not_be_written_in_time_is_refused_after_all(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The client disables pushes while the promise waits, since the transport is full."""
    caplog.set_level(logging.DEBUG, "headstart.refused")
    push = Push("/style.css")
    recorder = sending_first({**STYLE, "headstart": push})
    with running(recorder) as server, RawClient(server.port) as client:
        client.get(b"/first")
        (connection,) = server.server.server_state.connections
        full = threading.Event()
        server.call(connection.pause_writing)
        server.call(full.set)
        assert full.wait(PATIENCE)
        page = client.request()
        until(lambda: push.state is PushState.SENT, "the push")
        client.update_settings(NO_PUSH)
        client.request(b"/last")
        while recorder.next()["path"] != "/last":
            pass
        server.call(connection.resume_writing)

        assert client.response(page).body == b"page"
        assert client.received("PUSH_PROMISE") == []

    assert push.refusal is Refusal.PUSH_DISABLED
    assert "'/style.css' not sent ahead: push-disabled" in caplog.messages


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
        assert gone.wait(90)
        gate.open()

        assert client.response(stream_id).body == b"first second"
        assert push.state is PushState.RESET


@pytest.mark.parametrize("fault", [500, 502, 503, 599, None])
def test_push_whose_response_is_a_server_error_is_reset_before_its_head(fault: int | None) -> None:
    push = Push("/style.css")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/":
            await send({**STYLE, "headstart": push})
        elif fault is None:
            raise ValueError("a fault of the application")
        else:
            await send(start(fault))
            await send(body(b"no upstream", True))
            await send(body(b" answers"))
            return
        await answer(send, b"page")

    with running(app, lifespan="off") as server, RawClient(server.port) as client:
        page = client.get()
        client.until(lambda: client.received("RST_STREAM", 2))
        again = client.get(b"/style.css")
        counted = Worker.of(server.server.server_state, server.server.config, server.server.loop)

        assert page.body == b"page"
        assert not client.received("HEADERS", 2)
        assert not client.received("DATA", 2)
        assert [dict(one.details)["error"] for one in client.received("RST_STREAM")] == ["CANCEL"]
        assert again.status == (fault or 500)
        assert (push.state, push.refusal) == (PushState.REFUSED, Refusal.RESPONSE_FAILED)
        assert counted.counters.pushes == {Refusal.RESPONSE_FAILED: 1}


@pytest.mark.parametrize("status", [404, 499])
def test_push_whose_response_is_an_error_of_the_request_is_sent(status: int) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/":
            await send(STYLE)
        await send(start(200 if scope["path"] == "/" else status))
        await send(body(b"page"))

    with running(app, lifespan="off") as server, RawClient(server.port) as client:
        client.get()

        assert client.response(2).status == status


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


def test_each_103_has_a_line_in_the_log_for_debugging(caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        link = b"</style.css>; rel=preload; as=style"
        await send({"type": "http.response.early_hint", "links": [link]})
        await answer(send, b"page")

    caplog.set_level(logging.DEBUG, "headstart.server")
    with running(app, lifespan="off") as server, RawClient(server.port) as client:
        client.get(headers=NAVIGATION)

    assert "103 sent on stream 1: </style.css>; rel=preload; as=style" in caplog.messages


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


def test_push_that_is_under_way_when_the_connection_is_lost_has_failed() -> None:
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
        until(lambda: push.state is PushState.FAILED, "the end of the push")
        gate.open()


def test_push_whose_application_fails_amid_its_response_has_failed() -> None:
    push = Push("/style.css")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/":
            await send({**STYLE, "headstart": push})
            return await answer(send, b"page")
        await send(start())
        await send(body(b"a part", True))
        raise ValueError("a fault of the application")

    with running(app, lifespan="off") as server, RawClient(server.port) as client:
        client.get()
        client.until(lambda: client.received("RST_STREAM", 2))

        assert push.state is PushState.FAILED


# 103 Early Hints.


def test_103_comes_before_the_response_and_without_end_stream() -> None:
    with running(sending_first(LINKS)) as server, RawClient(server.port, NO_PUSH) as client:
        response = client.get(headers=NAVIGATION)

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
        stream_id = client.request(headers=NAVIGATION)
        client.until(lambda: client.responses[stream_id].informational)
        gate.open()

        assert client.response(stream_id).body == b"page"


def test_hints_of_one_turn_are_one_103() -> None:
    font: Message = {**LINKS, "links": [b"</a.woff2>; rel=preload; as=font; crossorigin"]}
    with running(sending_first(LINKS, font)) as server, RawClient(server.port) as client:
        response = client.get(headers=NAVIGATION)

        assert [len(fields) for fields in response.informational] == [3]


def test_second_103_is_refused() -> None:
    late = Hint()

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        await send(LINKS)
        await asyncio.sleep(0.01)
        await send({**LINKS, "headstart": late})
        await answer(send, b"page")

    with running(Recorder(act)) as server, RawClient(server.port) as client:
        response = client.get(headers=NAVIGATION)

        assert len(response.informational) == 1
        assert late.refusal is Refusal.ALREADY_HINTED
        assert response.body == b"page"


@pytest.mark.parametrize(
    ("messages", "headers", "refusal"),
    [
        ([{**LINKS, "links": []}], [], Refusal.NO_LINKS),
        ([{**LINKS, "links": [b"<" + b"x" * 9000 + b">"]}], [], Refusal.TOO_LARGE),
        # Each field counts for 32 octets besides its own, as in RFC 9113, 6.5.2.
        ([{**LINKS, "links": [b"</a>;rel=preload"] * 200}], [], Refusal.TOO_LARGE),
        ([LINKS], NO_CORS, Refusal.NOT_NAVIGATION),
        ([LINKS], [(b"accept", b"*/*")], Refusal.NOT_NAVIGATION),
        ([LINKS], [(b"te", b"trailers")], Refusal.TAKES_NO_HINTS),
        ([LINKS], [(b"content-type", b"application/grpc")], Refusal.TAKES_NO_HINTS),
    ],
    ids=["no links", "too large", "too many", "not a navigation", "program", "te trailers", "gRPC"],
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


@pytest.mark.parametrize(
    ("sizes", "refused"),
    [
        ([500], [False]),  # at the limit, with 32 octets for each field
        ([501], [True]),
        ([100, 368], [False, False]),
        ([100, 369], [False, True]),  # of one turn
    ],
)
def test_links_of_one_103_are_bounded_together(sizes: list[int], refused: list[bool]) -> None:
    hints = [Hint() for _ in sizes]
    limits = WireLimits(max_hint_size=500 + 32)
    app = sending_first(
        *(
            {**LINKS, "links": [b"<" + b"x" * (size - 2) + b">"], "headstart": hint}
            for size, hint in zip(sizes, hints, strict=True)
        )
    )
    with running(app, ServerOptions(limits=limits)) as server, RawClient(server.port) as client:
        response = client.get(headers=NAVIGATION)

    assert [hint.refusal is Refusal.TOO_LARGE for hint in hints] == refused
    assert [hint.sent for hint in hints] == [not each for each in refused]
    assert len(response.informational) == (not all(refused))


def test_what_is_not_sent_ahead_is_logged_with_its_path(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "headstart.refused")
    app = sending_first({**STYLE, "method": "POST"}, {**LINKS, "links": []})
    with running(app) as server, RawClient(server.port) as client:
        client.get()

    assert [line for line in caplog.messages if "ahead" in line] == [
        "'/style.css' not sent ahead: method",
        "'/' not sent ahead: no-links",
    ]


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
