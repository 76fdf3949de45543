"""What a request offers, as the modules beside it read it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from headstart.deliver import asgi
from headstart.deliver.asgi import (
    current_send,
    header,
    leave_send,
    offers,
    send_channel,
)
from headstart.errors import LocalProtocolError
from tests.deliver.pages import Request, Server, scope_of


def test_first_value_of_a_field_counts() -> None:
    scope = scope_of(headers=[(b"x", b"1"), (b"x", b"2")])

    assert header(scope, b"x") == b"1"
    assert header(scope, b"y") is None


def test_extension_is_offered_only_where_the_scope_has_it() -> None:
    assert offers(scope_of(), "http.response.push")
    assert not offers(scope_of(extensions={}), "http.response.push")
    assert not offers({"extensions": None}, "http.response.push")
    assert not offers({}, "http.response.push")


def test_send_channel_is_the_requests_own() -> None:
    server = Server()

    assert send_channel(Request(scope_of(), server)) == server.send
    with pytest.raises(LocalProtocolError) as caught:
        send_channel(Request(scope_of(), None))
    assert "PushBuilder" in caught.value.hint


@dataclass
class Bare:
    """A request of Django or Quart, which has a scope and no `send`."""

    scope: dict[str, Any] = field(default_factory=dict)


@pytest.mark.parametrize("framework", ["quart", "django"])
async def test_send_is_left_in_the_context_as_soon_as_a_framework_is_loaded_that_needs_it(
    monkeypatch: pytest.MonkeyPatch, framework: str
) -> None:
    loaded: dict[str, object] = {"starlette": None}
    monkeypatch.setattr(asgi, "modules", loaded)
    server = Server()

    leave_send(server.send)
    before = current_send.get()
    loaded[framework] = None
    leave_send(server.send)

    assert before is None
    assert send_channel(Bare()) == server.send


def test_request_without_a_send_in_its_context_is_told() -> None:
    with pytest.raises(LocalProtocolError, match="no send channel"):
        send_channel(Bare())
