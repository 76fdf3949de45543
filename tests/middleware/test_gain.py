"""The gain as the middleware measures it, on a clock of the test's."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import pytest

from headstart.config import DeliverOptions
from headstart.learn import Gain, LearnOptions
from headstart.reasons import Refusal
from tests.counting import calls_of
from tests.middleware.served import ASSETS, HINT, PAGE, PUSH, Served, Wire, ours, scope_of
from tests.server.apps import Headers, Receive, Scope, Send, body, start
from tests.visits import NO_GATE, answer_head

BROWSER: Headers = [
    (b"sec-fetch-mode", b"navigate"),
    (b"sec-fetch-dest", b"document"),
    (b"user-agent", b"test"),
]
HALF = LearnOptions(control_share=2, read_pages=False)
ORIGIN = "https://example.test"


class Timed:
    """A page that takes 0.2 s, and assets whose second half comes 0.03 s after the first.

    Attributes:
        served: The middleware, whose clock goes on as the site does.
        hinted, unaided: Seconds between the page and its assets, with a 103 and without.
    """

    def __init__(self, deliver: DeliverOptions = NO_GATE, learn: LearnOptions = HALF) -> None:
        self.served = Served(self, learn=learn, deliver=deliver)
        self.hinted, self.unaided = 0.05, 0.15
        self._visitors = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == PAGE:
            self.served.clock.now += 0.2
            await send(start(200, [(b"content-type", b"text/html")]))
            await send(body(b"<!doctype html>"))
            return
        await send(start(200, answer_head("text/css")))
        await send(body(b"x", more_body=True))
        self.served.clock.now += 0.03
        await send(body(b"x"))

    async def visit(self, extensions: dict[str, Any] = HINT, **more: Any) -> Wire:
        """A new visitor, who asks for all assets that are not pushed."""
        self._visitors += 1
        number = self._visitors
        own = {**extensions, **ours(number)}
        client = (f"198.18.{number >> 8}.{number & 255}", 1)
        wire = await self.served.get(PAGE, BROWSER, own, client=client, **more)
        self.served.clock.now += self.hinted if wire.hinted else self.unaided
        fields = [(b"referer", ORIGIN.encode() + PAGE.encode()), (b"user-agent", b"test")]
        for asset in ASSETS:
            pushed = asset in wire.pushed
            given = ours(number, pushed=pushed)
            await self.served.get(asset, fields, given, client=client, **more)
        await self.served.later()
        return wire

    async def gain(self, visits: int = 60, **more: Any) -> Gain | None:
        for _ in range(visits):
            await self.visit(**more)
        await self.served.middleware.stop()
        return self.served.middleware.learner.gain(ORIGIN + PAGE)


async def test_the_gain_is_from_the_page_s_request_to_the_end_of_its_last_asset() -> None:
    gain = await Timed().gain()

    assert gain is not None
    assert gain.blocking is not None
    assert gain.blocking == gain.loaded
    # The page, the way to the assets and back, and both of them.
    assert gain.blocking.control_median == pytest.approx(0.2 + 0.15 + 2 * 0.03, rel=0.06)
    assert gain.blocking.seconds == pytest.approx(0.1, rel=0.1)
    assert min(gain.views, gain.control_views) >= 20


async def test_a_push_counts_with_the_end_of_its_response() -> None:
    gain = await Timed().gain(extensions=PUSH)

    assert gain is not None
    assert gain.loaded is not None
    assert gain.loaded.seconds == pytest.approx(0.0, abs=0.02)
    assert min(gain.views, gain.control_views) >= 20


@pytest.mark.parametrize(
    ("deliver", "more"),
    [
        (replace(NO_GATE, links=False), {"http_version": "1.1"}),
        (replace(NO_GATE, min_think_time=60.0, links=False), {}),
    ],
)
async def test_views_that_cannot_be_sent_anything_are_not_compared(
    deliver: DeliverOptions, more: dict[str, Any]
) -> None:
    assert await Timed(deliver).gain(**more) is None


async def test_nothing_is_measured_where_that_is_switched_off() -> None:
    assert await Timed(learn=replace(HALF, measure=False)).gain(20) is None


async def test_a_page_that_stops_is_logged_once_and_counted_and_its_views_are_control_views(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "headstart.middleware")
    site = Timed(replace(NO_GATE, server_timing_shared=True))
    site.hinted, site.unaided = 0.25, 0.05
    wires = [await site.visit() for _ in range(60)]
    stopped = site.served.middleware.learner.gain(ORIGIN + PAGE)
    site.hinted, site.unaided = 0.05, 0.25
    later = [await site.visit() for _ in range(60)]
    await site.served.middleware.stop()

    assert stopped is not None
    assert stopped.stopped
    told = [record for record in caplog.records if "sent ahead" in record.getMessage()]
    assert [record.levelname for record in told] == ["WARNING", "INFO"]
    assert (
        told[0]
        .getMessage()
        .startswith(
            f"{ORIGIN}{PAGE}: Nothing is sent ahead any more, since views that got something took "
            "longer by "
        )
    )
    assert site.served.middleware.counters.refused[Refusal.SLOWER] > 0
    ways = {
        value
        for wire in (*wires, *later)
        for name, value in wire.headers
        if name == b"server-timing"
    }
    assert ways == {
        b'headstart;desc="nothing"',
        b'headstart;desc="hint"',
        b'headstart;desc="control"',
    }


async def _calls_of_an_asset(learn: LearnOptions) -> int:
    """Functions that the middleware calls for an asset of a view that is delivered."""
    site, number, client = Timed(learn=learn), 9999, ("203.0.113.1", 1)
    for _ in range(8):
        await site.visit()
    while not (
        await site.served.get(PAGE, BROWSER, {**HINT, **ours(number)}, client=client)
    ).hinted:
        number += 1
    fields = [(b"referer", ORIGIN.encode() + PAGE.encode()), (b"user-agent", b"test")]
    wire, scope = Wire(), scope_of(ASSETS[0], fields, ours(number), client=client)
    asked = site.served.middleware(scope, wire.receive, wire.send)
    calls = calls_of(lambda: next(asked.__await__(), None))
    await site.served.middleware.stop()
    return calls


async def test_measuring_costs_an_asset_three_calls() -> None:
    """The clock, the view, and the look at whether the response has ended, of each message."""
    without = await _calls_of_an_asset(replace(HALF, measure=False))
    measured = await _calls_of_an_asset(HALF)

    assert 0 < measured - without <= 4
