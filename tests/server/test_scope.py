"""What the application is told of a request over HTTP/2, and what it is offered."""

from __future__ import annotations

import copy
import json
import logging
import pickle
from functools import partial
from typing import Any

import pytest
from ngh2 import ErrorCode, Setting
from websockets.exceptions import ConnectionClosed

from headstart.config import ServerOptions
from headstart.middleware import HeadstartMiddleware
from headstart.reasons import Closing
from headstart.server.scope import expects_continue
from tests.server.apps import (
    NO_CORS,
    NO_PUSH,
    STYLE,
    Receive,
    Recorder,
    Scope,
    Send,
    answer,
    lifespan,
    read_all,
)
from tests.server.live import LiveServer, running
from tests.server.raw import RawClient
from tests.server.test_http1 import LAST, counters, told
from tests.server.websockets import library_client

NAVIGATION = [(b"sec-fetch-mode", b"navigate")]
OLD_BROWSER = [(b"accept", b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")]


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


@pytest.mark.parametrize(
    ("target", "located"),
    [
        (b"/a?b?c=%41", ("/a", b"/a", b"b?c=%41")),
        (b"/a%41%2f", ("/aA/", b"/a%41%2f", b"")),
        (b"/%3f?", ("/?", b"/%3f", b"")),
        (b"/plain", ("/plain", b"/plain", b"")),
        (b"/" + b"long" * 100 + b"?q", ("/" + "long" * 100, b"/" + b"long" * 100, b"q")),
    ],
)
def test_target_is_split_at_its_first_question_mark(
    target: bytes, located: tuple[str, bytes, bytes]
) -> None:
    recorder = Recorder()
    with running(recorder) as server, RawClient(server.port) as client:
        client.get(target)
        scope = recorder.next()

    assert (scope["path"], scope["raw_path"], scope["query_string"]) == located


@pytest.mark.parametrize(
    ("watched", "expects"),
    [
        ([(b"expect", b"100-continue")], True),
        ([(b"te", b"trailers"), (b"expect", b"100-Continue")], True),
        ([(b"expect", b"200-ok")], False),
        ([(b"te", b"100-continue")], False),
        ([], False),
    ],
)
def test_client_waits_for_a_100_where_it_says_so(
    watched: list[tuple[bytes, bytes]], expects: bool
) -> None:
    assert expects_continue(watched) is expects


def test_application_may_make_a_deep_copy() -> None:
    recorder = Recorder()
    with running(recorder) as server, RawClient(server.port) as client:
        for _ in range(2):  # the second one's is put together from the first one's
            client.get(b"/")
        scopes = [recorder.next(), recorder.next()]

    assert [copy.deepcopy(scope)["path"] for scope in scopes] == ["/", "/"]


def test_extensions_are_plain_data_over_each_protocol() -> None:
    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.close"})
            return
        if "http.response.push" in scope["extensions"]:
            await send(STYLE)
            await send(STYLE)
        await answer(send)

    recorder = Recorder(page)
    with running(HeadstartMiddleware(recorder)) as server:
        with RawClient(server.port) as client:
            for _ in range(2):  # the second one's is put together from the first one's
                client.get(b"/", headers=NAVIGATION)
            client.until(lambda: len(client.promises) == 2)
            for stream_id in client.promises:
                client.response(stream_id)
        told(server, LAST)
        with (
            library_client(f"ws://127.0.0.1:{server.port}/") as websocket,
            pytest.raises(ConnectionClosed),
        ):
            websocket.recv()
    extensions = []
    while not recorder.empty:
        extensions.append(recorder.next()["extensions"])

    assert len(extensions) == 6  # two pages, what they push, and one each of the other two
    for found in extensions:
        assert set(json.loads(json.dumps(found))) == set(found)
        assert pickle.loads(pickle.dumps(found)) == found
    pushes = [found["headstart"]["pushes"] for found in extensions if "headstart" in found]
    assert sorted(map(len, pushes)) == [0, 0, 2, 2]


def test_scheme_is_the_connections_own() -> None:
    recorder = Recorder()
    with running(recorder, tls=True) as server, RawClient(server.port, tls=True) as client:
        client.scheme = b"http"
        client.get()

    assert recorder.next()["scheme"] == "https"


@pytest.mark.parametrize("pushing", [True, False])
@pytest.mark.parametrize("root", ["", "/app"])
def test_scopes_on_one_connection_are_as_on_connections_of_their_own(
    pushing: bool, root: str
) -> None:
    """From the third like request on they are copied from a model, also if others come between."""
    kinds: list[tuple[bytes, list[tuple[bytes, bytes]]]] = [
        (b"GET", NAVIGATION),
        (b"GET", [*NO_CORS, (b"te", b"trailers")]),
        (b"POST", [(b"x-a", b"1")]),
    ]
    asked = [
        (method, b"/%d%%20?q=%d" % (number, number) if number % 3 else b"/like", fields)
        for method, fields in [*kinds, *kinds]
        for number in range(5)
    ]

    def scopes(server: LiveServer, count: int) -> list[Scope]:
        """The scopes of all requests, of so many on each connection."""
        found: list[Scope] = []
        for begin in range(0, len(asked), count):
            with RawClient(server.port, {} if pushing else NO_PUSH) as client:
                for method, target, fields in asked[begin : begin + count]:
                    client.response(client.request(target, method=method, headers=fields))
                    scope = recorder.next()
                    scope["extensions"] = dict(scope["extensions"])
                    ours = scope["extensions"]["headstart"]
                    scope["extensions"]["headstart"] = {**ours, "connection": 0}
                    found.append({**scope, "client": None})
        return found

    recorder = Recorder()
    with running(recorder, ServerOptions(pathsend=True), root_path=root) as server:
        assert scopes(server, len(asked)) == scopes(server, 1)


def test_fourth_like_request_has_its_100_and_its_trailers() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        content = await read_all(receive)
        assert scope["extensions"]["http.response.trailers"] == {}
        await answer(send, content)

    def told_to_go_on(stream_id: int) -> bool:
        return bool(client.responses[stream_id].informational)

    fields = [(b"expect", b"100-continue"), (b"te", b"trailers")]
    with running(app, lifespan="off") as server, RawClient(server.port) as client:
        for _ in range(4):
            stream_id = client.request(method=b"POST", headers=fields, end_stream=False)
            client.until(partial(told_to_go_on, stream_id))
            client.send_data(stream_id, b"content", end_stream=True)

            assert client.response(stream_id).body == b"content"


def test_root_path_goes_before_the_path() -> None:
    recorder = Recorder()
    with running(recorder, root_path="/app") as server, RawClient(server.port) as client:
        client.get(b"/x%20y")
        scope = recorder.next()

    assert (scope["root_path"], scope["path"]) == ("/app", "/app/x y")
    assert scope["raw_path"] == b"/app/x%20y"


@pytest.mark.parametrize("prefix", ["/", "/app/", "app", "app//"])
def test_root_path_with_a_slash_too_many_or_too_few_leads_to_the_same_paths(prefix: str) -> None:
    recorder = Recorder()
    with running(recorder, root_path=prefix) as server, RawClient(server.port) as client:
        client.get(b"/x")
        scope = recorder.next()

    root = "" if prefix == "/" else "/app"
    assert (scope["root_path"], scope["path"]) == (root, root + "/x")
    assert scope["raw_path"] == scope["path"].encode()


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
        for number in range(6):  # from the third on, scopes are copied from a model
            client.get(b"/%d" % number)

    assert seen == [{"shared": shared}] * 6
    assert seen[0]["shared"] is shared


def test_extensions_that_an_application_adds_are_in_no_other_requests_scope() -> None:
    seen: list[bool] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await lifespan(receive, send)
        seen.append("own" in scope["extensions"])
        scope["extensions"]["own"] = {}
        return await answer(send)

    with running(app) as server, RawClient(server.port) as client:
        for number in range(6):
            client.get(b"/%d" % number)

    assert seen == [False] * 6


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

ALWAYS = {"headstart"}
PUSH, HINT, TRAILERS = (f"http.response.{name}" for name in ("push", "early_hint", "trailers"))
GRPC_PASS: dict[int, int] = {
    Setting.HEADER_TABLE_SIZE: 0,
    Setting.ENABLE_PUSH: 0,
    Setting.INITIAL_WINDOW_SIZE: 2**31 - 1,
}
CASES: dict[str, tuple[dict[int, int], bytes, list[tuple[bytes, bytes]], ServerOptions, set[str]]]
CASES = {
    "plain client": ({}, b"GET", [], ServerOptions(), {PUSH}),
    "program": (NO_PUSH, b"GET", [(b"accept", b"*/*")], ServerOptions(), set()),
    "old browser": (NO_PUSH, b"GET", OLD_BROWSER, ServerOptions(), {HINT}),
    "old browser's POST": (NO_PUSH, b"POST", OLD_BROWSER, ServerOptions(), set()),
    "POST": ({}, b"POST", [], ServerOptions(), {PUSH}),
    "HEAD": ({}, b"HEAD", [], ServerOptions(), {PUSH}),
    "navigation": (NO_PUSH, b"GET", NAVIGATION, ServerOptions(), {HINT}),
    "sub-resource": (NO_PUSH, b"GET", NO_CORS, ServerOptions(), set()),
    "POST navigation": (NO_PUSH, b"POST", NAVIGATION, ServerOptions(), set()),
    "unmarked, wanted": (
        NO_PUSH,
        b"GET",
        [],
        ServerOptions(hint_unmarked_clients=True),
        {HINT},
    ),
    "sub-resource, unmarked wanted": (
        NO_PUSH,
        b"GET",
        NO_CORS,
        ServerOptions(hint_unmarked_clients=True),
        set(),
    ),
    "push off": ({}, b"GET", NAVIGATION, ServerOptions(push=False), {HINT}),
    "pathsend": (NO_PUSH, b"POST", [], ServerOptions(pathsend=True), {"http.response.pathsend"}),
    "hints off": ({}, b"GET", NAVIGATION, ServerOptions(early_hints=False), {PUSH}),
    "te trailers": (NO_PUSH, b"POST", [(b"te", b"trailers")], ServerOptions(), {TRAILERS}),
    "te trailers in a GET": (NO_PUSH, b"GET", [(b"te", b"trailers")], ServerOptions(), {TRAILERS}),
    "Firefox": (
        NO_PUSH,
        b"GET",
        [(b"te", b"trailers"), *NAVIGATION],
        ServerOptions(),
        {HINT, TRAILERS},
    ),
    "grpc_pass for a browser": (GRPC_PASS, b"GET", NAVIGATION, ServerOptions(), set()),
    "gRPC": (
        NO_PUSH,
        b"GET",
        [(b"content-type", b"application/grpc+proto"), *NAVIGATION],
        ServerOptions(),
        set(),
    ),
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
        for _ in range(3):  # as many as it takes until scopes are copied from a model
            client.get()
        client.update_settings(NO_PUSH)
        for _ in range(3):
            client.get()

    offered = [PUSH in recorder.next()["extensions"] for _ in range(6)]
    assert offered == [True] * 3 + [False] * 3
