"""The admin port's application, called as a server calls it."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import pytest

from headstart.admin.access import Access
from headstart.admin.app import AdminApp
from headstart.admin.guard import Guard
from headstart.admin.routes import Request, Response, Route, text
from headstart.admin.workers import Workers

GUARD = Guard(Access("127.0.0.1", 9001, frozenset({"localhost"}), ""))
FORM = (b"content-type", b"application/x-www-form-urlencoded; charset=utf-8")


class Pages:
    """Routes that note what they were asked."""

    def __init__(self) -> None:
        self.asked: list[Request] = []
        self.closed = False

    async def note(self, request: Request, workers: Workers) -> Response:
        self.asked.append(request)
        return text("noted")

    async def fail(self, request: Request, workers: Workers) -> Response:
        raise RuntimeError("broken")

    async def stream(self, request: Request, workers: Workers) -> Response:
        return Response(body=self._parts(), content_type="text/event-stream")

    async def _parts(self) -> AsyncIterator[bytes]:
        try:
            for number in range(3):
                yield b"data: %d\n\n" % number
        finally:
            self.closed = True

    def routes(self) -> list[Route]:
        return [
            Route("GET", "/", self.note),
            Route("POST", "/order", self.note),
            Route("GET", "/fails", self.fail),
            Route("GET", "/events", self.stream),
        ]


async def call(
    pages: Pages,
    path: str,
    *,
    method: str = "GET",
    query: bytes = b"",
    content: bytes = b"",
    headers: tuple[tuple[bytes, bytes], ...] = (),
    leaves_after: int = 100,
) -> list[dict[str, Any]]:
    """Call the application; returns its messages."""
    sent: list[dict[str, Any]] = []
    parts = [content[i : i + 16_384] for i in range(0, len(content), 16_384)] or [b""]

    async def receive() -> dict[str, Any]:
        part = parts.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(parts)}

    async def send(message: Any) -> None:
        if len(sent) >= leaves_after:
            raise OSError("the client has left")
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query,
        "headers": [(b"host", b"localhost:9001"), *headers],
    }
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as door:
        await AdminApp(GUARD, pages.routes(), Workers(door))(scope, receive, send)
    return sent


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_route_gets_the_query_and_the_headers(method: str) -> None:
    pages = Pages()

    start, body = await call(pages, "/", method=method, query=b"q=a%20b&q=c&empty=")

    assert (start["status"], body["body"]) == (200, b"noted")
    (request,) = pages.asked
    assert request.query == {"q": "c", "empty": ""}
    assert request.headers["host"] == "localhost:9001"
    assert request.method == "GET"


@pytest.mark.parametrize(("path", "method", "status"), [("/x", "GET", 404), ("/", "PUT", 405)])
async def test_other_paths_and_methods_are_refused(path: str, method: str, status: int) -> None:
    assert (await call(Pages(), path, method=method))[0]["status"] == status


async def test_error_of_a_handler_is_a_500_and_a_line_of_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    start, _ = await call(Pages(), "/fails")

    assert start["status"] == 500
    assert "could not serve '/fails'" in caplog.text
    assert "broken" in caplog.text


async def test_form_reaches_its_handler_only_with_the_token() -> None:
    pages = Pages()
    good = urlencode({"csrf": GUARD.csrf, "page": "/a b"}).encode()

    for content, headers, status in (
        (good, (FORM,), 200),
        (good, (), 403),
        (b"csrf=wrong&page=/", (FORM,), 403),
        (b"x=" + b"a" * 70_000, (FORM,), 413),
    ):
        sent = await call(pages, "/order", method="POST", content=content, headers=headers)
        assert sent[0]["status"] == status

    (request,) = pages.asked
    assert request.form["page"] == "/a b"
    assert request.csrf == GUARD.csrf


async def test_stream_goes_out_part_by_part() -> None:
    pages = Pages()

    start, *parts = await call(pages, "/events")

    assert (b"content-type", b"text/event-stream") in start["headers"]
    assert [part.get("body", b"") for part in parts] == [b"data: %d\n\n" % n for n in range(3)] + [
        b""
    ]
    assert [part.get("more_body", False) for part in parts] == [True, True, True, False]


async def test_stream_is_closed_when_its_client_leaves() -> None:
    pages = Pages()

    with pytest.raises(OSError, match="has left"):
        await call(pages, "/events", leaves_after=2)

    assert pages.closed


async def test_websockets_are_refused() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        raise AssertionError

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as door:
        await AdminApp(GUARD, [], Workers(door))({"type": "websocket"}, receive, send)

    assert sent == [{"type": "websocket.close"}]
