"""Visits of one site by fresh browsers, with learning and without, in turn."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Browser

from sites.browser import Load, distant, load
from sites.estimates import Estimate, median_ratio_of, ratio_of
from sites.serving import Served, built, served
from sites.site import Site

# One way, in seconds.
_DELAY = 0.05
# Pairs of loads that count. The first pair does not: caches of the machine are cold.
_PAIRS = 11
_WARM_UP = 1
# The learner changes its map about once a second; a view ends two seconds after its last asset.
_LEARN_SECONDS = 3.0
# How many visitors are looked at, after the first one, who is told nothing.
_LOOKED_AT = 2

measured_sites: list[Measured] = []


@dataclass
class Visit:
    """One visitor's load, where learning is on.

    Attributes:
        load: As the browser saw it.
        requests: Targets that the visitor asked for, as the server logged them.
    """

    load: Load
    requests: list[str]

    @property
    def named(self) -> list[str]:
        """Targets of this site that the visitor was told of ahead."""
        return [target for target in (*self.load.hinted, *self.load.linked) if target[0] == "/"]

    @property
    def unasked(self) -> set[str]:
        """Targets that the visitor was told of and did not ask for."""
        return set(self.named) - set(self.requests)

    @property
    def repeated(self) -> list[str]:
        """Targets that the visitor asked for more than once."""
        return [target for target, times in Counter(self.requests).items() if times > 1]


@dataclass
class Measured:
    """The loads of one site.

    Attributes:
        visits: The second and the third visitor.
        pairs: Milliseconds of a load with learning, and of one with `--no-learn` next to it.
    """

    site: Site
    visits: list[Visit]
    pairs: list[tuple[float, float]] = field(default_factory=list)

    @property
    def ratio(self) -> Estimate:
        """A load with learning over one without."""
        return ratio_of(self.pairs)

    @staticmethod
    def heading() -> str:
        """Return the first line of the table."""
        return (
            f"{'site':18}{'with':>7}{'without':>9}{'ratio':>7} {'(95 %)':16}"
            "   second and third visitor: 103 + Link of requests (twice, warnings)"
        )

    def row(self) -> str:
        """Return this site's line of the table."""
        delivered, plain = map(statistics.median, zip(*self.pairs, strict=True))
        ratio, _, interval = str(self.ratio).partition(" ")
        told = "   ".join(
            f"{len(visit.load.hinted)} + {len(visit.load.linked)} of {len(visit.requests)}"
            f" ({len(visit.repeated)}, {len(visit.load.warnings)})"
            for visit in self.visits
        )
        return f"{self.site.module:18}{delivered:7.0f}{plain:9.0f}{ratio:>7} {interval:16}   {told}"

    @staticmethod
    def median_ratio() -> Estimate:
        """Return the median over all sites that were measured."""
        return median_ratio_of([measured.pairs for measured in measured_sites])


def measure(
    chromium: Browser, site: Site, folder: Path, certificate: tuple[Path, Path]
) -> Measured:
    """Visit `site`: once to learn from, twice to look at, then in pairs.

    Which load of a pair is the first changes with each pair.
    """
    folder.mkdir()
    store = folder.with_suffix(".sqlite3")
    with (
        built(site, folder) as command,
        served(command, folder, *certificate, "--store", str(store)) as learning,
        served(command, folder, *certificate, "--no-learn") as plain,
        distant(learning.port, _DELAY) as learning_port,
        distant(plain.port, _DELAY) as plain_port,
    ):
        delivering = f"https://localhost:{learning_port}{site.page}"
        without = f"https://localhost:{plain_port}{site.page}"
        load(chromium, without)  # both sites have made once what they make once
        load(chromium, delivering)
        visits = []
        for _ in range(_LOOKED_AT):
            time.sleep(_LEARN_SECONDS)
            visits.append(_visit(chromium, delivering, learning))
        measured = Measured(site, visits)
        for number in range(_WARM_UP + _PAIRS):
            urls = [delivering, without] if number % 2 else [without, delivering]
            took = {url: load(chromium, url).milliseconds for url in urls}
            if number >= _WARM_UP:
                measured.pairs.append((took[delivering], took[without]))
    measured_sites.append(measured)
    return measured


def _visit(chromium: Browser, url: str, server: Served) -> Visit:
    server.requests()
    seen = load(chromium, url, wait_for_warnings=True)
    return Visit(seen, [target for target, _ in server.requests()])
