"""The gain in `headstart map`: as a table, in words and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from headstart.learn import Learner, Vote
from headstart.store import offline
from tests.cli.command import headstart_says
from tests.learn.site import ASSETS, ORIGIN, Site


def _learner(saved: float, *, views: int = 200) -> Learner:
    """A page whose views with assets ahead take 0.3 s, one in four of its views without."""
    site = Site()
    for page in ("/", "/about"):
        for _ in range(3):
            site.visit(page, ASSETS)
    for number in range(views):
        control = number % 4 == 0
        seconds = 0.3 + saved * control
        vote = Vote(
            site.now, ORIGIN, "/", number + 1000, control=control, blocking=seconds, loaded=seconds
        )
        site.learner.absorb([vote])
    return site.learner


def _kept(learner: Learner, tmp_path: Path) -> Path:
    path = tmp_path / "learned.sqlite3"
    offline.tell(list(learner.export()), path, warn=print)
    return path


def _said(*arguments: str | Path) -> str:
    status, out, err = headstart_says("map", *map(str, arguments))
    assert (status, err) == (0, "")
    return out


def test_the_map_shows_the_gain_of_sites_and_pages_with_its_interval(tmp_path: Path) -> None:
    store = _kept(_learner(0.1), tmp_path)

    lines = _said("--store", store).splitlines()

    at = next(number for number, line in enumerate(lines) if line.startswith("gain"))
    title, *rows = lines[at : at + 5]
    titles = "gain until saves 95 % interval with without views control"
    assert " ".join(title.split()) == titles
    assert [row[: len(ORIGIN) + 1].strip() for row in rows] == [ORIGIN, "", ORIGIN + "/", ""]
    assert "blocking assets" in rows[2]
    assert "all assets" in rows[3]
    assert rows[2].split()[-2:] == ["150", "50"]
    assert lines[-1].startswith("2 pages with")


def test_a_page_is_shown_with_its_own_gain_alone(tmp_path: Path) -> None:
    store = _kept(_learner(0.1), tmp_path)

    shown, other = _said("--store", store, "/"), _said("--store", store, "/about")

    assert f"\n{ORIGIN}/ " in shown
    assert f"\n{ORIGIN}  " not in shown
    assert "saves" not in other


def test_few_views_are_told_as_such(tmp_path: Path) -> None:
    store = _kept(_learner(0.1, views=30), tmp_path)

    shown = _said("--store", store, "/")
    explained = _said("--store", store, "--why", "/")

    assert "too few views yet" in shown
    assert "The gain is not known yet: it takes 20 views of each sort, and so far there are 22" in (
        explained
    )


def test_why_says_the_gain_in_words(tmp_path: Path) -> None:
    store = _kept(_learner(0.1), tmp_path)

    lines = _said("--store", store, "--why", "/").splitlines()

    assert lines[0] == ORIGIN + "/"
    assert lines[1].startswith("  Sending ahead saves ")
    assert lines[1].endswith("until the last stylesheet, script or font")


@pytest.mark.parametrize("saved", [0.1, -0.2])
def test_json_has_the_gain_in_seconds(tmp_path: Path, saved: float) -> None:
    store = _kept(_learner(saved), tmp_path)

    rows = {row["page"]: row for row in json.loads(_said("--store", store, "--json"))}
    gain = rows[ORIGIN + "/"]["gain"]

    assert rows[ORIGIN + "/about"]["gain"] is None
    assert rows[ORIGIN + "/*"]["gain"]["savings"].keys() == {"blocking", "loaded"}
    assert (gain["views"], gain["control_views"], gain["stopped"]) == (150.0, 50.0, False)
    loaded = gain["savings"]["loaded"]
    assert loaded["low"] <= loaded["seconds"] <= loaded["high"]
    assert loaded["seconds"] == pytest.approx(saved, rel=0.15)
    assert loaded["median"] == pytest.approx(0.3, rel=0.05)


def test_a_page_that_is_stopped_says_so_everywhere(tmp_path: Path) -> None:
    learner = _slower()
    store = _kept(learner, tmp_path)

    shown = _said("--store", store, "/")
    explained = _said("--store", store, "--why", "/")
    rows = json.loads(_said("--store", store, "--json", "/"))
    exported = headstart_says("map", "--store", str(store), "export", "--format", "nginx")[1]

    assert f"{ORIGIN}/  it was stopped     -1" in shown
    assert "views that are sent it are slower" in shown
    assert "Nothing is sent ahead any more, since views that got something took longer" in explained
    assert not any(row["sent"] for row in rows)
    assert [row["why"] for row in rows if row["asset"] == ASSETS[0]] == ["slower"]
    assert rows[0]["gain"]["stopped"]
    assert "Left out (views of the page that are sent its assets are slower):\n#   /\n" in exported


def _slower() -> Learner:
    """A learner that has stopped a page."""
    learner = _learner(-0.2)
    site = Site(control_share=2)
    site.learner.absorb(learner.export())
    stops = list[object]()
    site.learner.ended.on_stop = stops.append
    for _ in range(20):
        view = site.open(address=site.somebody())
        if view.withheld is None or view.control:
            view.comparable = True
            site.learner.compare(view, by_push=False)
        late = 0.1 if view.control else 0.4
        site.now += late
        site.fetch(view, ASSETS[0])
        if (arriving := site.learner.assets.arriving) is not None:
            view.arrived(arriving[1], site.now)
        site.wait()
    assert stops
    return site.learner
