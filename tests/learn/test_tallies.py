"""Nodes as records and back, and the counts of two maps added up."""

from __future__ import annotations

from dataclasses import replace

from headstart.learn import Kind, Level, PageRecord, SeenAsset, Tally
from headstart.learn.counts import Asset, Association
from headstart.learn.nodes import Node
from headstart.learn.tallies import record_of, take_cooccurrence, take_record, take_tally
from tests.learn.site import ORIGIN

MEMORY = 20
STYLE = SeenAsset("/a.css", Kind.STYLE, "text/css", False, 1000, 3600, True)
TALLY = Tally(STYLE, views=4.0, asked=3.0, confirmed=False, first=7, run=1, sent=2.0, useful=1.0)
RECORD = PageRecord(
    level=Level.PAGE,
    origin=ORIGIN,
    path="/",
    views=4.0,
    fresh=4.0,
    sent=2.0,
    useful=1.0,
    voters=(7, 8),
    last=100.0,
    assets=(TALLY,),
)


def association(first: int = 7) -> Association:
    return Association(Asset(1, STYLE, first), first, 0.0)


def node() -> Node:
    """A page, as the record has it."""
    made, asset = Node(ORIGIN, "/", Level.PAGE), association()
    take_record(made, RECORD, MEMORY)
    take_tally(asset, TALLY, MEMORY)
    made.assets["/a.css"] = asset
    return made


def test_new_node_that_took_a_record_makes_the_same_record() -> None:
    assert record_of(node()) == RECORD


def test_asset_of_personal_pages_alone_is_so_in_the_record() -> None:
    made = node()
    made.assets["/a.css"].asset.personal = True

    assert record_of(made).assets[0].personal


def test_asset_that_was_never_sent_has_no_use_counted() -> None:
    made, asset = Node(ORIGIN, "/", Level.PAGE), association()
    take_tally(asset, replace(TALLY, sent=0.0, useful=0.0), MEMORY)
    made.assets["/a.css"] = asset

    assert asset.used is None
    assert record_of(made).assets[0].sent == 0.0


def test_counts_of_two_maps_add_up_and_weigh_no_more_than_the_memory() -> None:
    made = node()
    few = record_of(made)
    for _ in range(20):
        take_record(made, RECORD, MEMORY)
        take_tally(made.assets["/a.css"], TALLY, MEMORY)
    many = record_of(made)

    assert (few.views, many.views) == (4.0, 84.0)
    assert (few.fresh, many.fresh) == (4.0, MEMORY)
    assert (many.sent, many.useful) == (MEMORY, MEMORY / 2)
    assert (many.assets[0].views, many.assets[0].asked) == (MEMORY, MEMORY * 3 / 4)
    assert many.voters == (7, 8)


def test_asset_is_confirmed_by_another_map_where_somebody_else_asked_first() -> None:
    alone, both, told = association(7), association(9), association(7)
    take_tally(alone, TALLY, MEMORY)
    take_tally(both, TALLY, MEMORY)
    take_tally(told, replace(TALLY, confirmed=True), MEMORY)

    assert (alone.confirmed, both.confirmed, told.confirmed) == (False, True, True)


def test_place_of_a_dropped_asset_is_in_no_record_and_in_no_company_that_a_record_adds() -> None:
    page, kept = node(), association()
    page.assets["/a.css"] = kept
    kept.bit, kept.mates, kept.apart, kept.often_apart = 1, 0b1111, 0b1110, 0b110
    page.bits, page.dropped_bits = 0b1001, 0b110

    (tally,) = record_of(page).assets

    assert tally.together is not None
    assert (tally.together.mates, tally.together.apart, tally.together.often_apart) == (9, 8, 0)

    page.dropped_bits = 0b1000
    take_cooccurrence(page, RECORD)

    assert (kept.mates, kept.apart) == (1, 0)
