"""Which of several upstreams a request goes to."""

from __future__ import annotations

import logging

import pytest

from headstart.config import ProxyOptions
from headstart.proxy.balance import Balance
from headstart.proxy.failures import UpstreamError
from headstart.proxy.upstream import Upstream
from headstart.reasons import Gateway
from tests.proxy.asked import answering, raw_upstream

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


def balance_of(*urls: str) -> Balance:
    return Balance(tuple(Upstream.parse(url) for url in urls), ProxyOptions(), None)


async def nobody() -> str:
    async with raw_upstream(answering(OK)) as upstream:
        return upstream.url


async def test_upstream_with_the_least_outstanding_requests_is_asked() -> None:
    async with raw_upstream(answering(OK)) as one, raw_upstream(answering(OK)) as other:
        balance = balance_of(one.url, other.url)
        for _ in range(6):
            await balance.acquire()
        balance.close()

        assert (one.connections, other.connections) == (3, 3)


async def test_upstream_that_cannot_be_connected_to_rests_and_is_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    gone = await nobody()
    async with raw_upstream(answering(OK)) as other:
        balance = balance_of(gone, other.url)
        with caplog.at_level(logging.WARNING, "headstart.proxy"):
            pools = [(await balance.acquire())[0] for _ in range(3)]
        balance.close()

    assert {pool.upstream.name for pool in pools} == {other.url}
    assert caplog.text.count("rests") == 1


async def test_upstreams_that_all_rest_are_tried_all_the_same() -> None:
    gone = await nobody()
    balance = balance_of(gone)
    for _ in range(2):
        with pytest.raises(UpstreamError) as raised:
            await balance.acquire()
        assert raised.value.reason is Gateway.CONNECT_FAILED
    balance.close()


async def test_released_request_is_outstanding_no_more() -> None:
    async with raw_upstream(answering(OK)) as one:
        balance = balance_of(one.url)
        pool, connection = await balance.acquire()
        assert pool.outstanding == 1

        balance.release(pool, connection)
        balance.close()

        assert pool.outstanding == 0
