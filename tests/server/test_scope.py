"""What the application is told of a request over HTTP/2, and what it is offered."""

from __future__ import annotations

import copy
import logging
from typing import Any

import pytest
from ngh2 import ErrorCode

from headstart.config import ServerOptions
from headstart.reasons import Closing
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
)
from tests.server.live import running
from tests.server.raw import RawClient
from tests.server.test_http1 import counters

NAVIGATION = [(b"sec-fetch-mode", b"navigate")]


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


def test_application_may_make_a_deep_copy() -> None:
    recorder = Recorder()
    with running(recorder) as server, RawClient(server.port) as client:
        for _ in range(2):  # the second one's is put together from the first one's
            client.get(b"/")
        scopes = [recorder.next(), recorder.next()]

    assert [copy.deepcopy(scope)["path"] for scope in scopes] == ["/", "/"]


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
