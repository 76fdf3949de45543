"""One request and its response, as the observer sees them pass."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from headstart.observe.exchange import Exchange, make_id


def exchange(**scope: Any) -> Exchange:
    plain: dict[str, Any] = {
        "type": "http",
        "path": "/caf\u00e9",
        "query_string": b"",
        "headers": [(b"host", b"a.test")],
    }
    return Exchange({**plain, **scope})


def test_messages_tell_the_status_and_the_size(tmp_path: Path) -> None:
    file = tmp_path / "page"
    file.write_bytes(b"12345")
    seen = exchange()

    seen.take({"type": "http.response.start", "status": 203})
    seen.take({"type": "http.response.body", "body": b"123", "more_body": True})
    seen.take({"type": "http.response.body"})
    seen.take({"type": "http.response.pathsend", "path": str(file)})
    seen.take({"type": "http.response.push"})

    assert (seen.status, seen.size, seen.error) == (203, 8, None)
    assert seen.seconds >= 0


@pytest.mark.parametrize(
    ("scope", "target"),
    [
        ({}, "/caf\u00c3\u00a9"),
        ({"raw_path": b"/caf%C3%A9"}, "/caf%C3%A9"),
        ({"raw_path": b"/", "query_string": b"a=1"}, "/?a=1"),
    ],
)
def test_target_is_path_and_query_as_they_came(scope: dict[str, Any], target: str) -> None:
    assert exchange(**scope).target == target


@pytest.mark.parametrize(
    ("client", "told"),
    [(None, ""), (("192.0.2.1", 80), "192.0.2.1:80"), (("::1", 80), "[::1]:80")],
)
def test_client_is_its_address(client: tuple[str, int] | None, told: str) -> None:
    assert exchange(client=client).client == told
    assert exchange().client == ""


def test_request_was_pushed_if_the_server_says_so() -> None:
    assert not exchange().pushed
    assert not exchange(extensions={"headstart": {"pushed": False}}).pushed
    assert exchange(extensions={"headstart": {"pushed": True}}).pushed


def test_header_is_the_first_of_its_name() -> None:
    assert exchange().header(b"host") == b"a.test"
    assert exchange().header(b"x-none") is None


@pytest.mark.parametrize("given", [b"abc-1.2:3", b"a" * 128])
def test_id_is_the_one_that_a_proxy_gave(given: bytes) -> None:
    scope = exchange(headers=[(b"a", b"b"), (b"x-request-id", given)]).scope

    assert make_id(scope) == given.decode()


@pytest.mark.parametrize("given", [b"", b"a b", b"a" * 129, b"a\xff", b'a"'])
def test_id_that_could_be_part_of_another_field_is_replaced(given: bytes) -> None:
    scope = exchange(headers=[(b"x-request-id", given)]).scope

    first, second = make_id(scope), make_id(scope)

    assert len(first) == len(second) == 16
    assert first != second
