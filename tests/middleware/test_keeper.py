"""The learner and the store, kept in step."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

import pytest

from headstart.learn.records import PageRecord, Record, Rule
from headstart.middleware import HeadstartMiddleware, keeper
from tests.middleware.served import NotingStore
from tests.server.apps import hello


async def test_keeper_counts_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "_SYNC_SECONDS", 0.001)
    store = NotingStore()
    middleware = HeadstartMiddleware(hello, store=store)
    await middleware.start()
    async with asyncio.timeout(20):
        while store.calls.count("exchange") < 3:
            await asyncio.sleep(0.001)
    await middleware.stop()


async def test_fault_in_one_turn_is_logged_and_the_keeper_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Faulty(NotingStore):
        def exchange(
            self, outbox: Sequence[Record], image: Sequence[PageRecord | Rule] | None = None
        ) -> list[Record]:
            super().exchange(outbox, image)
            if len(self.calls) == 2:
                raise RuntimeError("a fault")
            return []

    monkeypatch.setattr(keeper, "_SYNC_SECONDS", 0.001)
    store = Faulty()
    middleware = HeadstartMiddleware(hello, store=store)
    with caplog.at_level(logging.ERROR, "headstart"):
        await middleware.start()
        async with asyncio.timeout(20):
            while store.calls.count("exchange") < 3:
                await asyncio.sleep(0.001)
    await middleware.stop()

    [record] = caplog.records
    assert "could not be counted" in record.getMessage()
