"""What a request offers, as the modules beside it read it."""

from __future__ import annotations

import pytest

from headstart.deliver.asgi import header, offers, send_channel
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
