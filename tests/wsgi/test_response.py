"""start_response, write() and the iterable, as PEP 3333 has them."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from headstart.wsgi.outbox import ClientLeft, Message, Outbox
from headstart.wsgi.response import Response
from tests.wsgi.asking import VERSIONS, WsgiApp, asked

PLAIN = [("Content-Type", "text/plain")]


class Sent(Outbox):
    """Keeps the messages; a client that leaves takes `patience` of them."""

    def __init__(self, patience: int = 100) -> None:
        self.messages: list[Message] = []
        self._patience = patience

    def put(self, *messages: Message) -> None:
        if len(self.messages) >= self._patience:
            raise ClientLeft
        self.messages += messages


def run(app: WsgiApp, method: str = "GET", patience: int = 100) -> list[Message]:
    sent = Sent(patience)
    Response({"REQUEST_METHOD": method}, sent).run(app)
    return sent.messages


def content(messages: list[Message]) -> list[bytes]:
    return [message["body"] for message in messages if "body" in message]


def test_single_part_goes_out_whole_and_with_its_length() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", PLAIN)
        return [b"hello"]

    head, body = run(app)

    assert head["status"] == 200
    assert head["headers"] == [(b"Content-Type", b"text/plain"), (b"content-length", b"5")]
    assert body == {"type": "http.response.body", "body": b"hello", "more_body": False}


def test_length_that_the_application_gives_is_left_alone() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Length", "5")])
        return [b"hello"]

    assert run(app)[0]["headers"] == [(b"Content-Length", b"5")]


def test_nothing_is_a_response_of_length_0() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("404 Not Found", [])
        return []

    head, body = run(app)

    assert (head["status"], head["headers"]) == (404, [(b"content-length", b"0")])
    assert body["more_body"] is False


def test_headers_wait_for_the_first_byte_and_may_come_as_late() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        yield b""
        start_response("200 OK", [])
        yield b""
        yield b"a"
        yield b"b"

    messages = run(app)

    assert messages[0]["type"] == "http.response.start"
    assert content(messages) == [b"a", b"b", b""]
    assert [message["more_body"] for message in messages[1:]] == [True, True, False]


def test_write_sends_at_once_and_before_the_iterable() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        write = start_response("200 OK", [])
        write(b"first")
        return [b"second"]

    assert content(run(app)) == [b"first", b"second"]


def test_iterable_that_writes_nothing_behind_write_ends_the_response() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [])(b"all")
        return []

    messages = run(app)

    assert content(messages) == [b"all", b""]
    assert messages[-1]["more_body"] is False


@pytest.mark.parametrize(
    ("method", "status"), [("HEAD", "200 OK"), ("GET", "204 No Content"), ("GET", "304 Not Mod")]
)
def test_response_without_content_ends_an_endless_iterable(method: str, status: str) -> None:
    closed: list[bool] = []

    def app(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response(status, [])
        try:
            while True:
                yield b"more"
        finally:
            closed.append(True)

    messages = run(app, method)

    assert b"".join(content(messages)) == b""
    assert messages[-1]["more_body"] is False
    assert closed == [True]


def test_head_of_a_single_part_has_no_length_that_might_be_wrong() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [b""]

    assert run(app, "HEAD")[0]["headers"] == []


def test_second_start_response_replaces_the_first_where_an_error_is_given() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("204 No Content", PLAIN)
        try:
            raise ValueError("too late for 204")
        except ValueError:
            start_response("500 Oops", [], sys.exc_info())
        return [b"sorry"]

    head, body = run(app)

    assert (head["status"], body["body"]) == (500, b"sorry")


def test_error_behind_the_first_byte_is_raised_again() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield b"a"
        try:
            raise ValueError("mine")
        except ValueError:
            start_response("500 Oops", [], sys.exc_info())

    with pytest.raises(ValueError, match="mine"):
        run(app)


def test_second_start_response_without_an_error_is_a_mistake() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        start_response("200 OK", [])
        return []

    with pytest.raises(RuntimeError, match="twice"):
        run(app)


def test_response_without_start_response_is_a_mistake() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        return [b"x"]

    with pytest.raises(RuntimeError, match="did not call start_response"):
        run(app)


@pytest.mark.parametrize("parts", [["text"], ["a", "b"], [None, b"x"]])
def test_content_that_is_not_bytes_is_a_mistake(parts: list[Any]) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return parts

    with pytest.raises(TypeError, match="made of bytes, not of"):
        run(app)


class Parts:
    """An iterable that says whether it was closed."""

    def __init__(self, *parts: bytes | Exception) -> None:
        self._parts = parts
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        for part in self._parts:
            if isinstance(part, Exception):
                raise part
            yield part

    def close(self) -> None:
        self.closed += 1


@pytest.mark.parametrize("end", ["whole", "error", "client leaves"])
def test_close_is_called_once_however_the_response_ends(end: str) -> None:
    parts = Parts(b"a", ValueError("mine")) if end == "error" else Parts(b"a", b"b")

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        return parts

    if end == "whole":
        run(app)
    else:
        with pytest.raises((ValueError, ClientLeft)):
            run(app, patience=1)

    assert parts.closed == 1


@pytest.mark.parametrize("version", VERSIONS)
def test_response_of_one_part_has_a_length_on_the_wire(version: str) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("201 Created", PLAIN)
        return [b"hello"]

    answer = asked(app, version)

    assert (answer.status, answer.body) == (201, b"hello")
    assert answer.headers["content-length"] == "5"
    assert answer.headers["content-type"] == "text/plain"
