"""Floors under what the real middleware foresees: a worse learner fails here.

`made_log` is a small site's traffic of our own making, so that these run everywhere. The traces of
real traffic are judged too where they are at hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from random import Random

import pytest

from headstart.learn import Answer, Exchange, Request
from headstart.learn.logs import LogFile, LogLine
from headstart.replay import Mode, Score
from headstart.replay.replay import Replay
from tests.replay import traces

ORIGIN = "https://made.example"
_SITE = ("/site.css", "/site.js", "/logo.svg", "/text.woff2")
_SIZES = {"css": 20_000, "js": 60_000, "svg": 3_000, "woff2": 30_000, "png": 40_000}
_ASSETS = {
    "/": ("/home.png", "/home.js"),
    "/about": ("/team.png",),
    **{f"/blog/{number}": ("/blog.css", f"/blog/{number}.png") for number in range(20)},
    **{f"/shop/{number}": ("/shop.js", f"/shop/{number}.png") for number in range(30)},
}
_BROWSERS = ("Firefox/150.0", "Chrome/160.0.1", "Chrome/160.0.2", "Version/20.1 Safari/620")
_ROBOTS = ("Crawler/3.1", "Feed/1.0", "Chrome/120.0.0")


def made_log(views: int = 600) -> Iterator[LogLine]:
    """Yield page views: new and returning visitors, robots, and a page that is not there.

    Half of the views are people's, a third of those by somebody who was here before, with what the
    pages share in the cache. The other half are robots', which fetch no asset.
    """
    random = Random(7)
    pages = list(_ASSETS)
    weights = [8.0 if page == "/" else 1.0 for page in pages]
    caches: dict[str, set[str]] = {}
    numbers = count(1)
    time = 0.0
    for _ in range(views):
        time += random.uniform(5.0, 40.0)
        if random.random() < 0.5:
            robot = f"198.51.100.{next(numbers) % 250}"
            path = random.choice([*pages, "/gone"])
            status = 404 if path == "/gone" else 200
            yield _line(time, robot, random.choice(_ROBOTS), path, "", status)
            continue
        if caches and random.random() < 1 / 3:
            visitor = random.choice(list(caches))
        else:
            number = next(numbers)
            visitor = f"203.0.{number // 250}.{number % 250}"
            caches[visitor] = set()
        agent = _BROWSERS[len(visitor) % len(_BROWSERS)]
        path = random.choices(pages, weights)[0]
        yield _line(time, visitor, agent, path, "")
        for asset in (*_SITE, *_ASSETS[path]):
            if asset not in caches[visitor] and random.random() < 0.97:
                caches[visitor].add(asset)
                time += 0.05
                yield _line(time, visitor, agent, asset, ORIGIN + path)


def _line(
    time: float, client: str, agent: str, target: str, referer: str, status: int = 200
) -> LogLine:
    request = Request(ORIGIN, target, client, user_agent=agent, referer=referer)
    size = _SIZES.get(target.rpartition(".")[2], 10_000)
    return LogLine(time, Exchange(request, Answer(status, cache_control=None, size=size)))


def played(mode: Mode) -> Score:
    return Replay(mode=mode, rivals=False).run(made_log())[0]


def test_hints_foresee_most_of_a_small_site_and_waste_little() -> None:
    score = played(Mode.HINT)

    assert score.recall >= 0.90
    assert score.rendering_precision >= 0.94
    assert score.wasted_share <= 0.05


def test_pushes_foresee_most_of_a_small_site() -> None:
    score = played(Mode.PUSH)

    assert score.recall >= 0.88
    assert score.rendering_precision >= 0.94
    assert score.wasted_share <= 0.07


@pytest.mark.parametrize(
    ("name", "recall", "used", "rendering"),
    [(traces.SEMICOMPLETE, 0.75, 0.85, 0.88), (traces.HAR, 0.1, 0.9, 0.95)],
)
def test_real_traffic_is_foreseen(name: str, recall: float, used: float, rendering: float) -> None:
    path = traces.folder() / name
    if not path.exists():
        pytest.skip(f"the trace {name} is not in {path.parent}")

    score = Replay(rivals=False).run(LogFile(path))[0]

    assert score.recall >= recall
    assert 1.0 - score.wasted_share >= used
    assert score.rendering_precision >= rendering


def test_where_pushing_is_mostly_waste_it_stops_by_itself() -> None:
    path = traces.folder() / traces.MEATLABEL
    if not path.exists():
        pytest.skip(f"the trace {path.name} is not in {path.parent}")

    score = Replay(rivals=False, mode=Mode.PUSH).run(LogFile(path))[0]

    assert score.sent < score.views / 3
