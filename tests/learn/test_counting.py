"""Votes counted at one node, and the table of the assets that all nodes share."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from headstart.learn import Kind, Named
from headstart.learn.counting import AssetTable, VoteCounter
from headstart.learn.counts import Naming
from headstart.learn.nodes import Level, Node
from tests.learn.site import ORIGIN
from tests.learn.voting import OPTIONS, vote

A, B, C = "/a.css", "/b.css", "/c.css"


class Counted:
    """One node, and votes that are counted at it.

    Args:
        level: The node's.
        options: Changed options.
    """

    def __init__(self, level: Level = Level.PAGE, **options: Any) -> None:
        given = replace(OPTIONS, **options)
        self.table = AssetTable(given)
        self.node = Node(ORIGIN, "/", level)
        self._counter = VoteCounter(given, self.table)

    def count(self, voter: int, *targets: str, **fields: Any) -> None:
        self._counter.count([self.node], vote(voter, *targets, **fields))

    def share(self, target: str) -> tuple[float, float]:
        """Return the views that asked for an asset, and all that count."""
        association = self.node.assets[target]
        return association.hits, association.tries


def test_views_are_counted_for_each_asset_whether_it_is_asked_for_or_not() -> None:
    counted = Counted()
    for voter, targets in enumerate([(A, B), (A,), (A, B)], 1):
        counted.count(voter, *targets)

    assert (counted.share(A), counted.share(B)) == ((3.0, 3.0), (2.0, 3.0))
    assert (counted.node.views, counted.node.fresh.tries) == (3.0, 3.0)


def test_asset_of_a_later_view_begins_with_the_earlier_ones_against_it() -> None:
    counted = Counted()
    counted.count(1, A)
    counted.count(2, A, B)
    counted.count(3, A, B, C)

    assert [counted.share(target) for target in (A, B, C)] == [(3.0, 3.0), (2.0, 3.0), (1.0, 2.0)]


def test_view_without_an_asset_that_its_client_has_does_not_count_against_it() -> None:
    counted = Counted()
    counted.count(1, A, B)
    counted.count(2, A, held=(B,))
    counted.count(3, A, quiet=True)
    counted.count(4, A)

    assert counted.share(B) == (1.0, 2.0)


def test_open_view_counts_for_the_assets_it_asked_for_and_against_none() -> None:
    counted = Counted()
    counted.count(1, A, B)
    counted.count(2, A, partial=True)
    before = counted.share(B)
    counted.count(2, before=(A,), held=(A,), continues=True)

    assert before == (1.0, 1.0)
    assert (counted.share(A), counted.share(B)) == ((2.0, 2.0), (1.0, 2.0))
    assert counted.node.views == 2.0


def test_pattern_counts_pages_and_not_the_views_of_one_page() -> None:
    counted = Counted(Level.PATTERN)
    shares = []
    for path in ("/p1", "/p1", "/p1", "/p2"):
        counted.count(1, A, path=path)
        shares.append(counted.share(A))
    confirmed = [counted.node.assets[A].confirmed]
    counted.count(2, A, path="/p2")
    confirmed.append(counted.node.assets[A].confirmed)

    # One page says nothing of the next, so an asset begins with a view against it.
    assert shares == [(1.0, 2.0)] * 3 + [(2.0, 3.0)]
    assert counted.share(A) == (2.0, 3.0)
    assert confirmed == [False, True]


def test_pattern_learns_no_asset_that_one_client_alone_asked_for_with_a_personal_page() -> None:
    counted = Counted(Level.PATTERN)

    for path in ("/p1", "/p2", "/p3"):
        counted.count(1, A, path=path, personal=True)

    assert A not in counted.node.assets


def test_pattern_counts_personal_pages_for_an_asset_that_two_clients_asked_for() -> None:
    counted = Counted(Level.PATTERN)
    for voter in (1, 2):
        counted.count(voter, A, path=f"/p{voter}")
    before = counted.share(A)[0]

    counted.count(3, A, path="/p3", personal=True)

    assert counted.share(A)[0] == before + 1.0


def test_misses_in_a_row_forget_earlier_views_at_the_option_and_not_one_before() -> None:
    counted = Counted(misses=3)
    for voter in range(1, 4):
        counted.count(voter, A, B)
    hits = []
    for voter in range(4, 8):
        counted.count(voter, B)
        hits.append(counted.share(A)[0])

    assert hits == [3.0, 3.0, 0.0, 0.0]


def test_full_node_gives_the_place_of_an_unlikely_asset_to_a_new_one() -> None:
    counted = Counted(max_assets=3)
    counted.count(1, A, B, C)
    for voter in range(2, 7):
        counted.count(voter, A, B)
    counted.count(7, A, B, "/new.css")

    assert set(counted.node.assets) == {A, B, "/new.css"}
    assert counted.table.get(ORIGIN, C) is None


def test_full_node_of_likely_assets_takes_no_other_one() -> None:
    counted = Counted(max_assets=2)
    for voter in range(1, 4):
        counted.count(voter, A, B)
    counted.count(4, A, B, C)

    assert set(counted.node.assets) == {A, B}
    assert len(counted.table) == 2


def test_table_forgets_an_asset_with_its_last_page_and_gives_its_bytes_back() -> None:
    counted, other = Counted(), Node(ORIGIN, "/other", Level.PAGE)
    counted.count(1, A, B)
    counted.count(2, A, B, segment=1)
    VoteCounter(OPTIONS, counted.table).count([other], vote(1, A, path="/other"))
    full = counted.table.bytes

    counted.table.drop(counted.node, A)
    counted.table.drop(counted.node, B)
    left = counted.table.get(ORIGIN, A), counted.table.get(ORIGIN, B), len(counted.table)
    counted.table.drop(other, A)

    assert left[0] is not None
    assert left[1:] == (None, 1)
    assert full > 0
    assert (counted.table.bytes, len(counted.table)) == (0, 0)


def test_place_of_a_dropped_asset_is_free_and_no_other_one_inherits_its_company() -> None:
    counted = Counted()
    counted.count(1, A, B)
    counted.count(2, A, B)
    place = counted.node.assets[B].bit
    counted.table.drop(counted.node, B)
    counted.node.settle_bits()
    company = counted.node.assets[A].mates & place
    counted.count(3, A, C)

    assert company == 0
    assert counted.node.assets[C].bit == place
    assert counted.node.bits == counted.node.assets[A].bit | place


def test_assets_that_take_the_places_of_dropped_ones_in_one_vote_inherit_no_company() -> None:
    counted = Counted()
    for voter in (1, 2):
        counted.count(voter, A, B, "/old.css")
        counted.count(voter, A)
    kept = counted.node.assets[A]
    taken = kept.mates, kept.apart

    counted.table.drop(counted.node, B)
    counted.table.drop(counted.node, "/old.css")
    counted.count(3, C, "/new.css")

    new = counted.node.assets[C].bit | counted.node.assets["/new.css"].bit
    assert taken[0] & new == taken[1] & new == new
    assert (kept.mates, kept.apart, kept.often_apart) == (kept.bit, 0, 0)
    assert counted.node.assets[C].mates == new


def test_name_with_a_new_fingerprint_inherits_the_counts_of_the_old_one() -> None:
    counted = Counted()
    old, new = "/app.0a1b2c3d.js", "/app.9f8e7d6c.js"
    for voter in range(1, 6):
        counted.count(voter, old)
    counted.count(6, new)

    assert set(counted.node.assets) == {new}
    assert counted.share(new)[0] > 5.0


def test_two_fingerprints_in_one_view_are_two_assets() -> None:
    counted = Counted()
    old, new = "/app.0a1b2c3d.js", "/app.9f8e7d6c.js"
    for voter in range(1, 4):
        counted.count(voter, old, new)

    assert set(counted.node.assets) == {old, new}


def test_views_of_a_second_segment_have_shares_of_their_own() -> None:
    counted = Counted()
    for voter in range(1, 4):
        counted.count(voter, A, B)
    whole = counted.node.assets[A].segments
    for voter in range(4, 7):
        counted.count(voter, B, segment=1)
    association = counted.node.assets[A]

    assert whole is None
    assert association.in_segment(0, 0.5) > 0.8
    assert association.in_segment(1, 0.5) < 0.2
    assert counted.node.segments == 0b11


def test_assets_that_stand_for_each_other_are_rivals_after_the_second_time() -> None:
    counted = Counted()
    counted.count(1, A, B)
    rivals = []
    for voter in range(2, 4):
        counted.count(voter, A, C)
        counted.count(voter + 10, A, B)
        rivals.append(counted.node.assets[B].rivals == counted.node.assets[C].bit)

    assert rivals == [False, True]
    assert not counted.node.assets[A].rivals


def test_naming_takes_bytes_for_its_texts_and_gives_them_back() -> None:
    counted = Counted()
    counted.count(1, A)
    association, before = counted.node.assets[A], counted.table.bytes
    sizes = []
    for integrity in ("", "sha256-" + "x" * 43, "sha512-" + "x" * 88):
        named = Named(A, Kind.STYLE, integrity=integrity)
        counted.table.set_naming(association, Naming(named))
        sizes.append(counted.table.bytes - before)
    counted.table.set_naming(association, None)

    assert [size - sizes[0] for size in sizes] == [0, 50, 95]
    assert counted.table.bytes == before


@pytest.mark.parametrize(("asks", "drawn"), [(True, 1.0), (False, 0.0)])
def test_font_of_a_stylesheet_counts_the_views_of_pages_with_that_sheet(
    asks: bool, drawn: float
) -> None:
    counted = Counted()
    counted.count(1, A)
    association = counted.node.assets[A]
    counted.table.set_naming(association, Naming(Named(A, Kind.FONT, sheet="/fonts.css")))

    for voter in range(2, 5):
        counted.count(voter, *((A,) if asks else (B,)))

    assert association.asset.drawn is not None
    assert (association.asset.drawn.tries, association.asset.drawn.estimate(0.0, 0.0)) == (3, drawn)


def test_personal_asset_is_published_by_the_first_page_that_is_not_personal() -> None:
    counted = Counted()
    personal = []
    for is_personal in (True, True, False, True):
        counted.count(1, A, personal=is_personal)
        personal.append(counted.table.personal)

    assert personal == [1, 1, 0, 0]


def test_asset_that_html_dropped_is_back_once_a_later_view_asks_for_it() -> None:
    counted = Counted()
    for target in (A, B, C):
        counted.count(1, target)
    asset = counted.node.assets[A].asset
    counted.table.dismiss(asset, 5.0)
    before = counted.table.changes

    counted.table.confirm(asset, 1, 5.0)
    still = asset.dropped, counted.table.changes
    counted.table.confirm(asset, 1, 5.1)

    assert still == (5.0, before)
    assert (asset.dropped, counted.table.changes) == (0.0, before + 1)
