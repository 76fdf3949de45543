"""The scheme that a trusted proxy names."""

from __future__ import annotations

from typing import Any

import pytest

from headstart.server.forwarded import ProxyHeaders, forwarded_scheme
from headstart.server.run import Config


@pytest.mark.parametrize(
    ("values", "scheme"),
    [
        (["https"], "https"),
        (["HTTPS"], "https"),
        ([" Https "], "https"),
        (["https, http"], "https"),
        (["http,https"], "http"),
        (["http", "https"], "https"),
        (["wss"], "wss"),
        ([], ""),
        ([""], ""),
        (["javascript"], ""),
        ([", https"], ""),
        (["https\xff"], ""),
    ],
)
def test_scheme_is_the_first_of_the_last_field_in_any_case(values: list[str], scheme: str) -> None:
    headers = [(b"x-forwarded-proto", value.encode("latin-1")) for value in values]

    assert forwarded_scheme([(b"host", b"a"), *headers, (b"accept", b"*/*")]) == scheme


@pytest.mark.parametrize(
    ("kind", "client", "expected"),
    [
        ("http", "10.0.0.1", "https"),
        ("websocket", "10.0.0.1", "wss"),
        ("http", "192.0.2.9", "http"),  # not trusted
    ],
)
async def test_application_is_told_the_scheme_that_a_trusted_proxy_names(
    kind: str, client: str, expected: str
) -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)

    config = Config(app, forwarded_allow_ips="10.0.0.1", lifespan="off", log_config=None)
    config.load()
    outermost: Any = config.loaded_app
    headers = [(b"x-forwarded-proto", b"HTTPS, http"), (b"x-forwarded-for", b"192.0.2.1")]
    scope = {"type": kind, "scheme": "http", "headers": headers, "client": (client, 1), "path": "/"}

    await outermost(scope, None, None)

    assert isinstance(outermost, ProxyHeaders)
    assert seen[0]["scheme"] == expected
    assert (seen[0]["client"][0] == "192.0.2.1") == (client == "10.0.0.1")
