"""What the tests' own guard against a fault of asyncio does: python/cpython#109564."""

from __future__ import annotations

import asyncio
import gc
import socket
import warnings

import pytest


@pytest.mark.parametrize("turns", range(5))
def test_a_connection_accepted_while_its_server_closes_is_closed(turns: int) -> None:
    async def close_while_accepting() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(_Abort, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        with socket.create_connection(address):
            for _ in range(turns):
                await asyncio.sleep(0)
        server.close()

    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            runner.run(close_while_accepting())
        gc.collect()

    assert [str(warning.message) for warning in seen] == []


class _Abort(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.abort()
