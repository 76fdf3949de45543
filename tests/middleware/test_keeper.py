"""The learner and the store, kept in step."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence

import pytest

from headstart.learn.records import Record, Vote
from headstart.middleware import HeadstartMiddleware, keeper
from tests.middleware.served import ASSETS, PAGE, PUSH, NotingStore, Served, ours
from tests.server.apps import hello
from tests.server.live import PATIENCE


async def test_keeper_counts_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "_SYNC_SECONDS", 0.001)
    store = NotingStore()
    middleware = HeadstartMiddleware(hello, store=store)
    await middleware.start()
    async with asyncio.timeout(90):
        while store.calls.count("exchange") < 3:
            await asyncio.sleep(0.001)
    await middleware.stop()


async def test_fault_in_one_turn_is_logged_and_the_keeper_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Faulty(NotingStore):
        def exchange(
            self, outbox: Sequence[Record], image: Sequence[Record] | None = None
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
        async with asyncio.timeout(90):
            while store.calls.count("exchange") < 3:
                await asyncio.sleep(0.001)
    await middleware.stop()

    [record] = caplog.records
    assert "could not be counted" in record.getMessage()


class BusyStore(NotingStore):
    """Answers nothing until it is told to."""

    def __init__(self) -> None:
        super().__init__([])
        self.free = threading.Event()

    def load(self) -> list[Record]:
        super().load()
        assert self.free.wait(PATIENCE)
        return self.records

    def exchange(
        self, outbox: Sequence[Record], image: Sequence[Record] | None = None
    ) -> list[Record]:
        super().exchange(outbox, image)
        assert self.free.wait(PATIENCE)
        return []


async def eventually(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.001)


async def test_no_request_waits_for_a_store_that_answers_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(keeper, "_SYNC_SECONDS", 0.001)
    store = BusyStore()
    served = Served(store=store)

    before = await served.get()
    await eventually(lambda: "load" in store.calls)
    meanwhile = await served.get()
    store.free.set()
    await eventually(lambda: "exchange" in store.calls)
    await served.middleware.stop()

    assert [wire.messages[-1]["type"] for wire in (before, meanwhile)] == ["http.response.body"] * 2


async def test_worker_learns_while_its_store_answers_nothing_and_tells_all_afterwards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(keeper, "_SYNC_SECONDS", 0.001)
    store = BusyStore()
    served = Served(store=store)
    store.free.set()
    await served.middleware.start()
    store.free.clear()
    await eventually(lambda: "exchange" in store.calls)
    count = len(store.calls)

    await served.load(ASSETS, ours(1))
    served.clock.now += 30.0
    learner = served.middleware.learner
    await eventually(lambda: learner.candidates("https://example.test", PAGE))
    second = await served.get(extensions={**ours(2), **PUSH})
    busy = len(store.calls)
    store.free.set()
    await served.middleware.stop()

    assert second.pushed == list(ASSETS)
    assert busy <= count + 1
    assert [record for record in store.outbox if isinstance(record, Vote)]
