"""How likely an asset is with a page: by views of the page, and of others where it is new."""

from __future__ import annotations

from dataclasses import replace

import pytest

from headstart.learn import Judgement, SeenAsset, Vote
from headstart.learn.judging import (
    alternatives_among,
    is_borrowing_untested,
    judgement_of,
    layers_of,
    lent_by,
)
from headstart.learn.model import Map
from tests.learn.site import ORIGIN
from tests.learn.voting import OPTIONS, folded, seen, two_versions, vote

A, B, C = "/a.css", "/b.css", "/c.css"


def judged(known: Map, target: str = A, path: str = "/") -> tuple[float, Judgement]:
    return judgement_of(target, known.nodes_of(ORIGIN, path), OPTIONS)


def test_asset_that_nobody_asked_for_is_unlikely() -> None:
    assert judged(folded(vote(1, B))) == (0.0, Judgement.UNLIKELY)


def test_each_view_that_asks_for_it_makes_an_asset_likelier_and_each_that_does_not_less() -> None:
    known = Map(OPTIONS)
    likely = []
    for voter, targets in enumerate([(A, B), (A, B), (A, B), (B,), (B,), (A, B)], 1):
        known.fold(vote(voter, *targets))
        likely.append(judged(known)[0])

    assert likely == sorted(likely[:3]) + sorted(likely[3:5], reverse=True) + likely[5:]
    assert len(set(likely)) == 6
    assert likely[4] < likely[5] < likely[3]
    assert judged(known)[1] is Judgement.PAGE


def test_page_with_one_view_is_more_like_its_site_than_one_with_many() -> None:
    known = folded(*(vote(n, A, path=f"/p{n}/x") for n in range(1, 9)))
    bare = []
    for views in range(1, 4):
        known.fold(vote(20 + views, B, path="/bare/x"))
        bare.append(judged(known, A, "/bare/x"))

    assert [likely for likely, _ in bare] == sorted((likely for likely, _ in bare), reverse=True)
    assert bare[0][0] > 2 * bare[2][0]
    assert {why for _, why in bare} == {Judgement.UNLIKELY}


@pytest.mark.parametrize(
    ("size", "why"),
    [
        (1000, Judgement.PAGE),
        (OPTIONS.break_even, Judgement.PAGE),
        (100 * OPTIONS.break_even, Judgement.TOO_LARGE),
    ],
)
def test_large_asset_needs_better_odds(size: int, why: Judgement) -> None:
    large = seen(A, size)
    known = folded(*(replace(vote(n, B), asked=(large, seen(B))) for n in range(1, 4)))

    likely, judgement = judged(known)

    assert likely > OPTIONS.likely
    assert judgement is why


def test_odds_at_which_an_asset_becomes_too_large_follow_the_option() -> None:
    known = folded(*(vote(n, A) for n in range(1, 4)))
    nodes = known.nodes_of(ORIGIN, "/")
    likely, _ = judgement_of(A, nodes, OPTIONS)
    even = (1.0 - likely) * 1000 / likely

    sent = [
        judgement_of(A, nodes, replace(OPTIONS, break_even=round(even) + more))[1]
        for more in (-1, 1)
    ]

    assert sent == [Judgement.TOO_LARGE, Judgement.PAGE]


def test_asset_of_which_most_deliveries_were_wasted_is_sent_no_more() -> None:
    known = folded(*(vote(n, A) for n in range(1, 4)))
    judgements = []
    for voter in range(4, 16):
        known.fold(vote(voter, B, wasted=(A,), held=(A,), worth=0.0))
        judgements.append(judged(known)[1])

    assert judgements[-1] is Judgement.WASTED
    assert judgements.index(Judgement.WASTED) > 0


def test_asset_with_a_query_waits_for_a_second_voter_without_a_lifetime() -> None:
    private = SeenAsset("/a.css?user=1", seen(A).kind)
    views = [Vote(0.0, ORIGIN, "/", voter, asked=(private,), fresh=True) for voter in (1, 1, 2)]
    known = Map(OPTIONS)
    judgements = []
    for view in views:
        known.fold(view)
        judgements.append(judged(known, private.target)[1])

    assert judgements == [Judgement.UNCONFIRMED, Judgement.UNCONFIRMED, Judgement.PAGE]


def test_page_that_knows_nothing_is_lent_the_assets_that_a_judgement_would_send() -> None:
    known = folded(
        *(vote(n, A, *((B,) if n < 3 else ()), path=f"/p{n}/x") for n in range(1, 9)),
    )
    chain = known.nodes_of(ORIGIN, "/p1/x")[1:]

    lent = lent_by(chain, OPTIONS.likely)

    assert [target for target, _ in lent] == [A]
    assert {target for target, _ in lent_by(chain, 0.01)} == {A, B}
    for target, likely in lent_by(chain, 0.01):
        assert likely == pytest.approx(judgement_of(target, chain, OPTIONS)[0])


def test_what_a_page_is_lent_of_its_site_alone_is_as_likely_as_a_judgement_says() -> None:
    known = folded(
        *(vote(n, A, B, C, path=f"/p{n}/x") for n in range(1, 9)),
        # Pages of this pattern need A; one client alone asked for B, after another did without it.
        vote(9, A, path="/q/1"),
        vote(10, A, B, path="/q/2"),
    )
    chain = known.nodes_of(ORIGIN, "/q/1")[1:]

    lent = dict(lent_by(chain, 0.01))

    assert lent.keys() == {A, B, C}
    for target, likely in lent.items():
        assert likely == pytest.approx(judgement_of(target, chain, OPTIONS)[0])


def test_layers_have_the_widest_node_first_and_dilute_by_its_fresh_views() -> None:
    known = folded(*(vote(n, A, path="/p/x") for n in range(1, 4)))
    chain = known.nodes_of(ORIGIN, "/p/x")

    layers = layers_of(chain)

    assert layers[0][2] is Judgement.SITE
    assert layers[-1][2] is Judgement.PAGE
    assert layers[-1][1] == 4.0


def test_of_two_versions_of_a_page_the_assets_of_one_are_sent() -> None:
    known = two_versions()
    page = known.nodes_of(ORIGIN, "/")[0]
    likely = [(target, 0.9, Judgement.PAGE) for target in ("/base.css", "/a.js", "/b.js")]

    refused = alternatives_among(page, likely)

    assert len(refused) == 1
    assert refused <= {"/a.js", "/b.js"}


@pytest.mark.parametrize(("last", "old"), [("/a.js", "/b.js"), ("/b.js", "/a.js")])
def test_of_two_versions_of_a_page_that_of_the_last_view_is_sent(last: str, old: str) -> None:
    known = two_versions()
    known.fold(vote(50, "/base.css", last))
    page = known.nodes_of(ORIGIN, "/")[0]
    likely = [(target, 0.9, Judgement.PAGE) for target in ("/base.css", "/a.js", "/b.js")]

    assert alternatives_among(page, likely) == {old}


def test_asset_is_no_alternative_of_one_whose_place_was_dropped() -> None:
    page = two_versions().nodes_of(ORIGIN, "/")[0]
    likely = [(target, 0.9, Judgement.PAGE) for target in ("/base.css", "/a.js", "/b.js")]

    page.dropped_bits = page.assets["/a.js"].bit | page.assets["/b.js"].bit

    assert alternatives_among(page, likely) == set()


def test_asset_that_html_names_is_no_alternative_of_another_one() -> None:
    page = two_versions().nodes_of(ORIGIN, "/")[0]
    likely = [(target, 0.9, Judgement.NAMED) for target in ("/base.css", "/a.js", "/b.js")]

    assert alternatives_among(page, likely) == set()
    assert alternatives_among(page, []) == set()


@pytest.mark.parametrize(("views", "untested"), [(2, False), (3, True), (4, True)])
def test_page_that_only_ever_borrowed_is_to_be_tested_from_its_third_view_on(
    views: int, untested: bool
) -> None:
    known = folded(*(vote(n, A, fresh=False) for n in range(1, views + 1)))
    page = known.nodes_of(ORIGIN, "/")[0]

    assert is_borrowing_untested(page, [(A, 0.9, Judgement.SITE)]) is untested
    assert not is_borrowing_untested(page, [(A, 0.9, Judgement.PAGE)])
