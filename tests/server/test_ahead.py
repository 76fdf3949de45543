"""Pushes and hints of one connection; what reaches the wire is in test_http2.py."""

from __future__ import annotations

from typing import Any

import pytest

from headstart.errors import LocalProtocolError
from headstart.server.ahead import push_target
from headstart.server.cycle import Application
from tests.server.apps import Receive, Scope, Send, answer
from tests.server.live import running
from tests.server.raw import RawClient


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/a b/é", b"/a%20b/%C3%A9"),
        ("/a?b=c#d", b"/a?b=c"),
        ("/base/a", b"/a"),
        ("/based", b"/based"),
    ],
)
def test_promised_target_is_the_path_as_it_stands_in_a_url(path: str, target: bytes) -> None:
    assert push_target(path, b"/base") == target


def test_path_that_is_no_text_is_the_applications_mistake() -> None:
    with pytest.raises(LocalProtocolError, match="no valid text"):
        push_target("/\udc89", b"")


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
