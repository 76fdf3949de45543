"""The HTTP/2 connections of one pool as they are made, and the end of all of them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import trustme

from headstart.client import NotHttp2Error
from headstart.config import ProxyOptions
from headstart.proxy.dialing import Dialer
from headstart.proxy.failures import UpstreamError
from headstart.proxy.upstream import Upstream
from headstart.reasons import Gateway
from tests.h2c.frame_server import frame_server
from tests.ports import closed_port
from tests.proxy.asked import Conversation, raw_upstream
from tests.server.apps import hello
from tests.server.live import certificate, running


def dialer(url: str, **options: Any) -> Dialer:
    return Dialer(Upstream.parse(url), ProxyOptions(**options))


async def test_connections_are_closed_together_and_awaited() -> None:
    with frame_server() as upstream:
        dialing = dialer(upstream.origin.replace("http:", "h2c:"))
        first, second = await dialing.dial(), await dialing.dial()
        first.abort()
        await first.lost

        dialing.close()
        await dialing.wait_closed()

        assert second.closed
        assert dialing._open == set()
        await dialing.wait_closed()


async def test_connection_that_is_made_after_the_end_is_closed_at_once() -> None:
    with frame_server() as upstream:
        dialing = dialer(upstream.origin.replace("http:", "h2c:"))
        dialing.close()

        connection = await dialing.dial()

        assert connection.closed
        await dialing.wait_closed()


async def test_certificate_is_verified_with_the_operators_roots_or_not_at_all(
    tmp_path: Path,
) -> None:
    others = tmp_path / "others.pem"
    trustme.CA().cert_pem.write_to_path(others)
    with running(hello, tls=True) as upstream:
        url = f"https://localhost:{upstream.port}"
        trusting = dialer(url, upstream_cacert=str(certificate().ca_certfile))
        careless = dialer(url, upstream_verify=False)
        for dialing in (trusting, careless):
            assert not (await dialing.dial()).closed
            dialing.close()
            await dialing.wait_closed()
        with pytest.raises(UpstreamError) as refused:
            await dialer(url, upstream_cacert=str(others)).dial()
        await asyncio.to_thread(upstream.stop)

    assert refused.value.reason is Gateway.CONNECT_FAILED


async def test_upstream_that_cannot_be_reached_has_failed() -> None:
    with closed_port() as port, pytest.raises(UpstreamError) as refused:
        await dialer(f"h2c://127.0.0.1:{port}").dial()

    assert refused.value.reason is Gateway.CONNECT_FAILED


async def test_upstream_that_says_nothing_is_given_up() -> None:
    async def silent(conversation: Conversation) -> None:
        await conversation.reader.read()

    async with raw_upstream(silent) as upstream:
        url = upstream.url.replace("http:", "h2c:")
        with pytest.raises(UpstreamError) as refused:
            await dialer(url, upstream_connect_timeout=0.05).dial()

    assert refused.value.reason is Gateway.CONNECT_TIMEOUT


async def test_upstream_that_speaks_http_1_1_is_told_apart_from_one_that_fails() -> None:
    async def old(conversation: Conversation) -> None:
        await conversation.say(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")

    async with raw_upstream(old) as upstream:
        with pytest.raises(NotHttp2Error):
            await dialer(upstream.url.replace("http:", "h2c:")).dial()
