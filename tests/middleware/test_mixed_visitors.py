"""New visitors beside others who fetch nothing: browsers with a warm cache, and robots."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count

import pytest

from headstart.learn import LearnOptions
from tests.middleware.served import ASSETS, HINT, STRANGER, Served, site
from tests.server.apps import Headers

DEFAULTS = LearnOptions(measure=False)
ORIGIN = b"https://example.test"
KINDS = {"/site.css": b"style", "/app.js": b"script"}
# One view in 32 gets nothing, for comparison.
MOST = 0.9


@dataclass
class Street:
    """The middleware, and the people and robots who come by.

    Attributes:
        hinted: Whether each new visitor was hinted all assets.
    """

    served: Served = field(default_factory=lambda: Served(site(), learn=DEFAULTS))
    hinted: list[bool] = field(default_factory=list)
    _numbers: count[int] = field(default_factory=lambda: count(1))

    async def visit(self, address: str, *, fetches: bool, page: str = "/") -> bool:
        """Somebody loads a page on a new connection. Return whether all assets were hinted."""
        client = (address, next(self._numbers))
        wire = await self.served.get(page, STRANGER, HINT, client=client)
        referer = (b"referer", ORIGIN + page.encode())
        for asset in ASSETS if fetches else ():
            fields: Headers = [
                referer,
                (b"user-agent", b"test"),
                (b"sec-fetch-dest", KINDS[asset]),
                (b"sec-fetch-mode", b"no-cors"),
            ]
            await self.served.get(asset, fields, HINT, client=client)
        self.served.middleware.learner.gone(client)
        await self.served.later()
        return sum(map(len, wire.hinted)) == len(ASSETS)

    async def new_visitors(self, number: int, *, page: str = "/") -> float:
        """Let new visitors come, who fetch what they need. Return the share that was hinted all."""
        found = [
            await self.visit(self._address(10), fetches=True, page=page) for _ in range(number)
        ]
        return sum(found) / number

    async def returning(self) -> None:
        """One of fifty who have everything comes back."""
        await self.visit(f"10.1.0.{next(self._numbers) % 50}", fetches=False)

    async def robot(self) -> None:
        """A robot that was never here comes, and looks like a browser."""
        await self.visit(self._address(10, 2), fetches=False)

    def _address(self, first: int, second: int = 9) -> str:
        number = next(self._numbers)
        return f"{first}.{second}.{number // 250}.{number % 250}"


@pytest.mark.parametrize(
    ("returning", "robots"), [(0, 0), (1, 0), (2, 0), (4, 0), (0, 1), (1, 1), (0, 3)]
)
async def test_new_visitors_are_hinted_whoever_else_comes(returning: int, robots: int) -> None:
    street = Street()
    await street.new_visitors(5)

    shares = []
    for _ in range(100):
        shares.append(await street.new_visitors(1))
        for _ in range(returning):
            await street.returning()
        for _ in range(robots):
            await street.robot()

    assert sum(shares) / len(shares) > MOST


async def test_new_visitors_are_hinted_after_most_visitors_had_everything() -> None:
    street, restarted = Street(), Street()
    for number in range(60):
        if number % 3:
            await street.returning()
        else:
            await street.new_visitors(1)

    later = await street.new_visitors(200)
    restarted.served.middleware.learner.absorb(list(street.served.middleware.learner.export()))

    assert later > MOST
    assert await restarted.new_visitors(20) > MOST


async def test_assets_that_the_whole_site_needs_go_on_being_hinted_with_a_new_page() -> None:
    street = Street(Served(site(), learn=LearnOptions(measure=False, control_share=0)))
    for number in range(12):
        await street.new_visitors(1, page=f"/p{number}/")

    assert await street.new_visitors(8, page="/new/") == 1.0
