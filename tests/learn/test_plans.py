"""Tests of headstart.learn.plans: what makes a page's plan anew, and what does not."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from headstart.learn import (
    Judgement,
    Kind,
    LearnOptions,
    Named,
    PageRecord,
    Reading,
    Removal,
    Rule,
    Tally,
    Trust,
    Verdict,
)
from headstart.learn.counting import AssetTable, VoteCounter
from headstart.learn.judging import SENT, alternatives_among, judgement_of
from headstart.learn.model import Map
from headstart.learn.nodes import Candidate, Level, Node
from headstart.learn.plans import Plans
from headstart.learn.rules import Rules
from tests.learn.site import ORIGIN
from tests.learn.voting import folded, seen, sent, vote

_SETTLING = [vote(n, "/site.css", path=f"/page{n}") for n in range(100, 140)]


def plan(known: Map, path: str) -> tuple[Candidate, ...]:
    return known.candidates(ORIGIN, path)


def reading(path: str, *targets: str, time: float) -> Reading:
    named = tuple(Named(target, Kind.STYLE) for target in targets)
    return Reading(time, ORIGIN, path, 1, Trust.SOLE, named=named)


def test_a_vote_at_one_page_costs_no_other_page_its_plan() -> None:
    known = folded(*_SETTLING, *(vote(n, "/a.css", path="/one") for n in range(3)))
    before = plan(known, "/one")

    known.fold(vote(200, "/site.css", path="/page100"))

    assert plan(known, "/one") is before


def test_a_page_s_own_vote_makes_its_plan_anew() -> None:
    known = folded(*_SETTLING, *(vote(n, "/a.css", path="/one") for n in range(3)))
    before = plan(known, "/one")

    known.fold(vote(200, "/a.css", path="/one"))

    assert plan(known, "/one")[0].probability > before[0].probability


def test_a_page_takes_notice_at_once_while_its_site_is_new() -> None:
    known = folded(vote(1, "/a.css", path="/one"), vote(2, "/site.css", path="/two"))
    assert sent(known, "/three") == []

    for n in range(3, 6):
        known.fold(vote(n, "/site.css", path=f"/page{n}"))

    assert sent(known, "/three") == ["/site.css"]


def test_a_page_takes_notice_of_what_a_site_has_become() -> None:
    known = folded(*_SETTLING)
    assert sent(known, "/new") == ["/site.css"]

    for n in range(200, 240):
        known.fold(vote(n, "/other.css", path=f"/page{n}"))

    assert sent(known, "/new") == ["/other.css"]


def test_an_asset_that_a_second_client_asked_for_elsewhere_is_believed_here() -> None:
    alone = replace(vote(1, path="/one"), asked=(replace(seen("/a.css?v=1"), lifetime=None),))
    known = folded(*_SETTLING, alone)
    assert "/a.css?v=1" not in sent(known, "/one")

    known.fold(replace(alone, voter=2, path="/two"))

    assert "/a.css?v=1" in sent(known, "/one")


def test_an_asset_s_new_lifetime_is_known_to_all_pages_at_once() -> None:
    known = folded(*_SETTLING, vote(1, "/a.css", path="/one"))
    assert plan(known, "/one")[0].asset.lifetime == 3600
    asset = known.asset(ORIGIN, "/a.css")
    assert asset is not None

    known.see(asset, replace(seen("/a.css"), lifetime=0))

    assert plan(known, "/one")[0].asset.lifetime == 0


def test_what_another_map_says_of_an_asset_is_known_to_all_pages_at_once() -> None:
    known = folded(*(vote(n, "/a.css", path="/two") for n in (1, 2)))
    assert plan(known, "/two")[0].asset.lifetime == 3600
    asset = replace(seen("/a.css"), lifetime=0)
    tally = Tally(asset, 1.0, 1.0, confirmed=False, first=1, run=0, sent=0.0, useful=0.0)

    known.load(PageRecord(Level.PAGE, ORIGIN, "/one", 1.0, 1.0, 0.0, 0.0, (1,), 0.0, (tally,)))

    assert plan(known, "/two")[0].asset.lifetime == 0


def test_an_asset_that_is_gone_is_gone_from_every_plan() -> None:
    known = folded(*_SETTLING)
    assert sent(known, "/page100") == ["/site.css"]

    known.remove(Removal(ORIGIN, "/site.css"))

    assert sent(known, "/page100") == []
    assert sent(known, "/new") == []


def test_what_one_page_s_html_drops_goes_from_the_others_plans() -> None:
    known = folded(*_SETTLING)
    for path in ("/page100", "/page101"):
        known.read(reading(path, "/site.css", time=1.0))
    assert sent(known, "/page101") == ["/site.css"]

    known.read(reading("/page100", time=2.0))

    assert sent(known, "/page101") == []


def test_a_rule_holds_at_once() -> None:
    known = folded(*_SETTLING)
    assert sent(known, "/page100") == ["/site.css"]

    known.obey(Rule(Verdict.NEVER, "", "/site.css"))

    assert sent(known, "/page100") == []


def test_a_forgotten_page_borrows_again() -> None:
    known = folded(*_SETTLING, *(vote(n, "/own.css", path="/page100") for n in range(3)))
    assert "/own.css" in sent(known, "/page100")

    known.forget("/page100", 1.0)

    assert sent(known, "/page100") == ["/site.css"]


def test_plans_that_are_kept_say_about_what_the_map_says() -> None:
    random = Random(5)
    options = LearnOptions()
    known = Map(options)
    targets = [f"/a{n}.css" for n in range(12)]
    paths = [f"/d{n % 3}/p{n}" for n in range(12)]
    for number in range(600):
        known.fold(vote(
            random.randrange(40), *random.sample(targets, 4), path=random.choice(paths),
            time=float(number),
        ))  # fmt: skip
        path = random.choice(paths)
        node = known.nodes.narrowest(ORIGIN, path)
        assert node is not None
        found = {candidate.target: candidate.probability for candidate in plan(known, path)}
        chain = known.nodes.chain_of(node, path)
        judged = [(target, *judgement_of(target, chain, options)) for target in targets]
        refused = alternatives_among(node, [each for each in judged if each[2] in SENT])
        for target, exact, why in judged:
            if target in refused:
                continue
            if why in SENT and exact > options.likely + 0.1:
                assert found[target] == pytest.approx(exact, abs=0.1)
            elif exact < options.likely - 0.1:
                assert target not in found


def plans_of(pages: int, room: int) -> tuple[Plans, list[Node]]:
    options = LearnOptions()
    assets = AssetTable(options)
    plans = Plans(options, Rules(options.max_url), assets)
    plans.make_room(room)
    nodes = [Node(ORIGIN, f"/{number}", Level.PAGE) for number in range(pages)]
    for number, node in enumerate(nodes):
        VoteCounter(options, assets).count([node], vote(number, f"/{number}.css"))
    return plans, nodes


def test_plans_take_no_more_than_they_are_given_and_the_last_used_stay() -> None:
    plans, nodes = plans_of(pages=100, room=5_000)
    made = [plans.of([node], None) for node in nodes]

    assert 4_000 < plans.bytes <= 5_000
    assert plans.of([nodes[-1]], None) is made[-1]
    assert plans.of([nodes[0]], None) is not made[0]


def test_a_plan_that_is_used_outlives_one_that_is_not() -> None:
    plans, nodes = plans_of(pages=3, room=1_100)
    made = [plans.of([node], None) for node in nodes[:2]]
    plans.of([nodes[0]], None)

    plans.of([nodes[2]], None)

    assert plans.of([nodes[0]], None) is made[0]


def test_without_room_plans_are_made_each_time() -> None:
    plans, (node,) = plans_of(pages=1, room=0)

    first, second = plans.of([node], None), plans.of([node], None)

    assert first == second
    assert first is not second
    assert plans.bytes == 0


def test_the_likeliest_assets_are_the_first_and_the_only_ones_where_there_is_room_for_no_more() -> (
    None
):
    votes = [vote(n, "/b.css", *(("/a.css",) if n > 1 else ())) for n in range(1, 8)]
    few = folded(*votes, options=LearnOptions(max_assets=2))

    assert sent(folded(*votes), "/") == sent(few, "/") == ["/b.css", "/a.css"]


def test_what_one_copy_of_a_page_names_says_nothing_of_how_others_name_it() -> None:
    known = folded(*(vote(n, "/a.css") for n in range(3)))
    named = (Named("/a.css", Kind.STYLE, integrity="sha256-x"),)

    known.read(Reading(1.0, ORIGIN, "/", 1, Trust.AGREED, named=named))
    (alone,) = plan(known, "/")
    known.read(Reading(1.0, ORIGIN, "/", 2, Trust.AGREED, named=named))
    (agreed,) = plan(known, "/")

    assert (alone.why, alone.named) == (Judgement.PAGE, None)
    assert (agreed.why, agreed.named) == (Judgement.NAMED, named[0])
