"""Responses that the proxy makes in the upstream's place."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from headstart.proxy.heads import RequestHead
from headstart.proxy.own import answer_as_last, refuse


class Client:
    """Take what is sent."""

    def __init__(self) -> None:
        self.messages: list[Any] = []

    async def send(self, message: Any) -> None:
        self.messages.append(message)

    @property
    def fields(self) -> dict[bytes, bytes]:
        return dict(self.messages[0]["headers"])

    @property
    def answer(self) -> tuple[int, bytes]:
        assert [message["type"] for message in self.messages] == [
            "http.response.start",
            "http.response.body",
        ]
        return self.messages[0]["status"], self.messages[1]["body"]


@pytest.mark.parametrize("status", [400, 405, 502, 503, 504, 508])
async def test_refusal_is_a_line_of_text_that_nobody_stores(status: int) -> None:
    client = Client()

    await refuse(client.send, "GET", status)

    answered, body = client.answer
    assert answered == status
    assert body.endswith(b".\n")
    assert client.fields[b"content-length"] == b"%d" % len(body)
    assert client.fields[b"cache-control"] == b"no-store"
    assert client.fields[b"content-type"] == b"text/plain; charset=utf-8"
    assert parsedate_to_datetime(client.fields[b"date"].decode()).tzinfo is not None


async def test_refusal_of_a_head_has_the_length_alone() -> None:
    client, other = Client(), Client()

    await refuse(client.send, "HEAD", 502, (b"retry-after", b"5"))
    await refuse(other.send, "GET", 502)

    assert client.answer == (502, b"")
    assert client.fields[b"retry-after"] == b"5"
    assert client.fields[b"content-length"] == other.fields[b"content-length"] != b"0"


async def test_status_without_a_page_has_no_content() -> None:
    client = Client()

    await refuse(client.send, "GET", 418)

    assert client.answer == (418, b"")
    assert client.fields[b"content-length"] == b"0"


def head(method: str) -> RequestHead:
    return RequestHead(method, [], None, expects_continue=False, may_have_content=False)


async def test_options_that_may_go_no_further_are_answered_here() -> None:
    client = Client()

    await answer_as_last(client.send, head("OPTIONS"))

    assert client.answer == (200, b"")


async def test_trace_shows_nobody_the_fields_that_other_proxies_added() -> None:
    client = Client()

    await answer_as_last(client.send, head("TRACE"))

    assert client.answer[0] == 405
    assert client.fields[b"allow"] == b"GET, HEAD, OPTIONS"
