"""Tests of headstart.learn.model, by votes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from headstart.learn import (
    Judgement,
    Kind,
    LearnOptions,
    Level,
    Named,
    PageRecord,
    Reading,
    Removal,
    Report,
    Rule,
    SeenAsset,
    Trust,
    Verdict,
    Vote,
)
from headstart.learn.model import Map
from headstart.learn.nodes import SEGMENTS_BYTES
from tests.counting import calls_of
from tests.learn.site import ORIGIN
from tests.learn.voting import (
    OPTIONS,
    elsewhere,
    folded,
    phones_and_desktops,
    seen,
    sent,
    two_versions,
    vote,
)


def test_after_one_view_the_next_gets_its_assets() -> None:
    assert set(sent(folded(vote(1, "/a.css", "/b.css")))) == {"/a.css", "/b.css"}


def test_an_asset_that_half_the_views_do_without_goes() -> None:
    known = folded(vote(1, "/a.css", "/b.css"), vote(2, "/a.css"), vote(3, "/a.css"))

    assert sent(known) == ["/a.css"]


def test_what_a_client_had_or_was_sent_counts_neither_way() -> None:
    known = folded(vote(1, "/a.css"), vote(2, "/a.css"))
    before = known.candidates(ORIGIN, "/")

    known.fold(vote(3, held=("/a.css",)))

    assert known.candidates(ORIGIN, "/") == before


def test_a_page_never_seen_borrows_from_its_pattern() -> None:
    known = folded(
        *(vote(n, "/p.css", path=f"/product/{n}") for n in range(3)),
        *(vote(n, "/blog.css", path=f"/blog/{n}") for n in range(3)),
    )

    assert sent(known, "/product/99") == ["/p.css"]
    assert sent(known, "/blog/99") == ["/blog.css"]
    assert known.candidates(ORIGIN, "/product/99")[0].why is Judgement.PATTERN


def test_a_page_of_no_pattern_borrows_from_its_origin_alone() -> None:
    known = folded(*(vote(n, "/site.css", path=f"/page{n}") for n in range(3)))

    assert sent(known, "/another") == ["/site.css"]
    assert known.candidates("https://elsewhere.example", "/another") == ()


def test_one_page_says_nothing_of_the_next() -> None:
    known = folded(*(vote(n, "/a.css", path="/one") for n in range(20)))

    assert sent(known, "/another") == []


def test_a_page_that_does_without_what_its_origin_needs_is_not_sent_it() -> None:
    known = folded(
        *(vote(n, "/site.css", path=f"/page{n}") for n in range(5)),
        *(vote(n, "/own.css", path="/plain") for n in range(10, 13)),
    )

    assert sent(known, "/plain") == ["/own.css"]


def test_an_asset_answered_otherwise_is_gone_from_every_page_at_once() -> None:
    known = folded(*(vote(n, "/site.css", path=f"/page{n}") for n in range(5)))

    assert known.remove(Removal(ORIGIN, "/site.css"))

    assert all(sent(known, f"/page{n}") == [] for n in range(5))
    assert sent(known, "/another") == []
    assert not known.remove(Removal(ORIGIN, "/site.css"))


def test_a_changed_fingerprint_takes_the_old_one_s_place() -> None:
    old, new = "/app.3f9a01bc.js", "/app.77aa12bd.js"
    known = folded(*(vote(n, old) for n in range(10)))

    known.fold(vote(20, new))
    assert sent(known) == [old]
    known.fold(vote(21, new))

    assert sent(known) == [new]


def test_two_fingerprinted_files_of_one_view_are_no_versions_of_each_other() -> None:
    one, other = "/photo-3f9a01bc.png", "/photo-77aa12bd.png"
    known = folded(*(vote(n, one, other) for n in range(10)))

    assert set(sent(known)) == {one, other}


def test_a_stylesheet_renamed_without_a_fingerprint_is_sent_within_three_views() -> None:
    known = folded(*(vote(n, "/old.css") for n in range(30)))

    for n in range(30, 33):
        known.fold(vote(n, "/new.css"))

    assert "/new.css" in sent(known)


def test_an_asset_that_four_views_in_a_row_did_without_is_dropped() -> None:
    known = folded(*(vote(n, "/a.css", "/b.css") for n in range(100)))

    for n in range(100, 104):
        known.fold(vote(n, "/b.css"))

    assert sent(known) == ["/b.css"]


def test_one_client_alone_is_not_believed_once_others_were_here() -> None:
    known = folded(vote(1, "/evil.css"))
    assert sent(known) == ["/evil.css"]

    known.fold(vote(2))

    assert sent(known) == []
    assert [row.why for row in known.listing.rows() if row.page == ORIGIN + "/"] == [
        Judgement.UNCONFIRMED
    ]


def test_a_view_that_was_sent_an_asset_takes_nothing_from_it() -> None:
    known = folded(vote(1, "/a.css"), vote(2, held=("/a.css",)))

    assert sent(known) == ["/a.css"]


def test_clients_that_obey_hints_do_not_confirm_what_one_client_forged() -> None:
    forged = [f"/evil{number}.css" for number in range(6)]
    known = folded(*(vote(1, *forged) for _ in range(5)))

    reached = []
    for voter in range(2, 12):
        sent_to_it = sent(known)
        reached += sent_to_it
        known.fold(vote(voter, held=tuple(sent_to_it), used=tuple(sent_to_it)))

    assert max(map(reached.count, forged)) <= 5
    assert sent(known) == []


def test_a_url_with_a_query_is_sent_to_one_other_on_one_client_s_word() -> None:
    known = folded(vote(1, "/a.css?user=1"))
    assert sent(known) == ["/a.css?user=1"]

    known.fold(vote(2, held=("/a.css?user=1",)))

    assert sent(known) == []


def test_what_was_sent_on_one_client_s_word_is_left_out_once_and_then_confirmed() -> None:
    assets = [f"/{number}.css" for number in range(9)]
    known = folded(vote(1, *assets))

    missing = []
    for voter in range(2, 12):
        held = tuple(sent(known))
        lacked = [target for target in assets if target not in held]
        missing += lacked
        known.fold(vote(voter, *lacked, held=held, used=held))

    assert sorted(missing) == sorted(assets)
    assert set(sent(known)) == set(assets)


def test_an_asset_that_two_clients_of_the_site_asked_for_needs_no_second_one_at_the_page() -> None:
    known = folded(*(vote(n, "/a.css", path=f"/{n}") for n in range(1, 5)))
    known.fold(vote(7, path="/new"))
    known.fold(vote(8, "/a.css", path="/new"))
    known.fold(vote(8, "/a.css", path="/new"))

    assert sent(known, "/new") == ["/a.css"]


def test_doubts_about_an_asset_outlive_a_restart() -> None:
    known = folded(vote(1, "/evil.css"), vote(2))
    other = Map(OPTIONS)

    for record in known.export():
        assert isinstance(record, PageRecord)
        other.load(record)

    assert sent(other) == []
    assert {row.why for row in other.listing.rows() if row.page == ORIGIN + "/"} == {
        Judgement.UNCONFIRMED
    }


@pytest.mark.cost
def test_ten_thousand_votes_of_one_client_change_nothing_for_others() -> None:
    known = folded(*(vote(n, "/a.css", "/b.css") for n in range(2, 12)))
    before = set(sent(known))

    for number in range(10_000):
        known.fold(vote(1, f"/evil{number % 7}.css"))

    assert set(sent(known)) == before


@pytest.mark.cost
def test_ten_thousand_pages_of_one_client_push_out_no_page_of_others() -> None:
    known = folded(*(vote(n % 9 + 2, "/a.css", path=f"/page{n // 3}") for n in range(300)))
    before = {n: sent(known, f"/page{n}") for n in range(100)}
    assert all(before.values())

    for number in range(10_000):
        known.fold(vote(1, "/evil.css", path=f"/forged{number}"))

    assert {n: sent(known, f"/page{n}") for n in range(100)} == before


def test_pages_and_assets_are_bounded() -> None:
    options = LearnOptions(max_pages=10, max_patterns=3, max_sites=2, max_assets=5)
    known = Map(options)
    for page in range(100):
        targets = [f"/{page}/{asset}.css" for asset in range(9)]
        known.fold(vote(page, *targets, path=f"/d{page}/p", origin=f"https://{page}.example"))

    records = [record for record in known.export() if isinstance(record, PageRecord)]
    assert sum(record.level is Level.PAGE for record in records) == 10
    assert sum(record.level is Level.PATTERN for record in records) == 3
    assert sum(record.level is Level.SITE for record in records) == 2
    assert all(len(record.assets) <= 5 for record in records)


def test_likely_assets_are_not_displaced_by_newcomers() -> None:
    known = folded(
        *(vote(n, "/a.css", "/b.css") for n in range(10)), options=LearnOptions(max_assets=2)
    )

    known.fold(vote(20, "/a.css", "/b.css", "/c.css"))

    assert set(sent(known)) == {"/a.css", "/b.css"}


def test_a_page_that_mostly_wastes_what_it_sends_stops_and_may_start_again() -> None:
    known = folded(vote(1, "/a.css"), vote(2, "/a.css"))
    for n in range(10, 20):
        known.fold(vote(n, held=("/a.css",), worth=0.0))
    assert known.is_waste(ORIGIN, "/")

    for n in range(20, 40):
        known.fold(vote(n, "/a.css", worth=1.0))

    assert not known.is_waste(ORIGIN, "/")


def test_an_asset_whose_deliveries_are_not_used_is_lowered() -> None:
    known = folded(*(vote(n, "/a.css", "/b.css") for n in range(10)))

    for n in range(20, 30):
        known.fold(vote(n, held=("/a.css", "/b.css"), wasted=("/a.css",), used=("/b.css",)))

    assert sent(known) == ["/b.css"]
    assert {row.why for row in known.listing.rows() if row.asset == "/a.css"} >= {Judgement.WASTED}


def test_a_large_asset_needs_better_odds() -> None:
    big = SeenAsset("/big.png", Kind.IMAGE, size=4_000_000)
    known = folded(vote(1, asked=(big, seen("/a.css"))))
    assert sent(known) == ["/a.css"]

    for n in range(2, 40):
        known.fold(vote(n, asked=(big, seen("/a.css"))))

    assert set(sent(known)) == {"/a.css", "/big.png"}


def test_the_operator_s_word_holds_whatever_was_learned() -> None:
    known = folded(*(vote(n, "/a.css") for n in range(5)))
    known.obey(Rule(Verdict.PIN, "/", "/print.css"))
    known.obey(Rule(Verdict.PIN, "/empty", "/print.css"))
    known.obey(Rule(Verdict.NEVER, "", "/a.css"))

    assert sent(known) == ["/print.css"]
    assert sent(known, "/empty") == ["/print.css"]
    assert {row.why for row in known.listing.rows()} == {Judgement.PINNED, Judgement.BARRED}


def test_never_beats_a_pin_and_the_map_says_so() -> None:
    known = folded(vote(1, "/a.css"))
    known.obey(Rule(Verdict.PIN, "/", "/b.css"))
    known.obey(Rule(Verdict.NEVER, "", "/b.css"))

    assert sent(known) == ["/a.css"]
    assert [row.sent for row in known.listing.rows() if row.asset == "/b.css"] == [False]


@pytest.mark.parametrize(
    ("pinned", "forgotten"),
    [
        ("/p?x=1", "/p?x=1"),
        ("https://example.org/p", "/p"),
        ("/p", "https://example.org/p"),
        ("/p", "/p"),
    ],
)
def test_a_pin_is_forgotten_with_its_page_however_either_was_written(
    pinned: str, forgotten: str
) -> None:
    known = Map(OPTIONS)
    known.obey(Rule(Verdict.PIN, pinned, "/a.css"))

    assert known.forget(forgotten, 0.0)
    assert list(known.listing.rows()) == []


def test_a_pinned_asset_that_nobody_asked_for_may_be_hinted() -> None:
    known = folded(vote(1, "/a.css"))
    known.obey(Rule(Verdict.PIN, "/", "/hero.css"))

    found = {c.target: c for c in known.candidates(ORIGIN, "/")}
    assert found["/hero.css"].asset.verified
    assert found["/hero.css"].probability == 1.0


def test_a_forgotten_page_knows_nothing_and_learns_again() -> None:
    known = folded(vote(1, "/a.css"))

    assert known.forget("/", 10.0)
    assert sent(known) == []
    assert not known.forget("/", 10.0)

    known.fold(vote(1, "/a.css", time=11.0))
    assert sent(known) == ["/a.css"]


@pytest.mark.parametrize("page", ["/", ORIGIN + "/"])
def test_what_was_seen_before_a_page_was_forgotten_is_not_learned_afterwards(page: str) -> None:
    named = (Named("/b.css", Kind.STYLE),)
    known = folded(vote(1, "/a.css", time=1.0))
    known.forget(page, 10.0)

    assert not known.fold(vote(2, "/a.css", time=9.0, worth=1.0))
    known.read(Reading(9.0, ORIGIN, "/", 1, Trust.SOLE, True, named))
    assert not any(row.page == ORIGIN + "/" for row in known.listing.rows())

    assert known.fold(vote(2, "/a.css", path="/other", time=9.0))
    known.read(Reading(11.0, ORIGIN, "/", 1, Trust.SOLE, True, named))
    assert {row.page for row in known.listing.rows()} >= {ORIGIN + "/other", ORIGIN + "/"}


def test_what_is_exported_says_the_same_elsewhere() -> None:
    known = folded(
        *(vote(n, "/a.css", "/b.css", path=f"/product/{n % 3}") for n in range(20)),
        vote(30, "/a.css", path="/product/1", worth=0.5, used=("/b.css",)),
    )
    known.obey(Rule(Verdict.PIN, "/", "/print.css"))
    other = Map(OPTIONS)

    for record in known.export():
        if isinstance(record, PageRecord):
            other.load(record)
        else:
            other.obey(record)

    for path in ("/", "/product/1", "/product/new"):
        ours = [(c.target, c.probability, c.why) for c in known.candidates(ORIGIN, path)]
        theirs = [(c.target, c.probability, c.why) for c in other.candidates(ORIGIN, path)]
        assert ours == theirs


def test_two_maps_of_the_same_page_add_up() -> None:
    known = folded(*(vote(n, "/a.css") for n in range(3)))
    other = folded(*(vote(n, "/a.css", "/b.css") for n in range(10, 13)))

    for record in other.export():
        if isinstance(record, PageRecord):
            known.load(record)

    by_target = {c.target: c.probability for c in known.candidates(ORIGIN, "/")}
    assert by_target["/a.css"] == pytest.approx(6.4 / 7, abs=0.1)


def test_views_of_one_page_count_once_for_its_pattern_and_site() -> None:
    known = folded(
        *(vote(n, "/only.css", path="/product/1") for n in range(20)),
        *(vote(100 + n, "/all.css", path=f"/product/{2 + n}") for n in range(4)),
    )

    assert sent(known, "/product/99") == ["/all.css"]


def test_one_page_that_does_without_an_asset_speaks_once_against_it_for_pages_like_it() -> None:
    known = folded(
        *(vote(n, "/all.css", path=f"/product/{n}") for n in range(4)),
        *(vote(10 + n, "/own.css", path="/product/plain") for n in range(20)),
    )

    assert sent(known, "/product/99") == ["/all.css"]


@pytest.mark.parametrize(
    ("path", "known"),
    [
        (b"/product/1", True),
        (b"/product/2", True),
        (b"/", True),
        (b"/pinned", True),
        (b"/other", False),
        (b"/api/1", False),
    ],
)
def test_a_path_is_known_by_its_page_by_its_pattern_or_by_a_pin(path: bytes, known: bool) -> None:
    pages = folded(vote(1, "/a.css", path="/product/1"), vote(1, "/a.css", path="/"))
    pages.obey(Rule(Verdict.PIN, "https://elsewhere.example/pinned", "/a.css"))

    assert pages.knows_path(path) is known
    assert (path in pages.no_pages) is not known


def test_what_is_no_page_is_looked_at_anew_when_the_map_has_changed() -> None:
    pages = folded(vote(1, "/a.css"))
    before = pages.knows_path(b"/new")

    pages.fold(vote(1, "/a.css", path="/new"))

    assert not before
    assert b"/new" not in pages.no_pages
    assert pages.knows_path(b"/new")


def test_path_is_a_pages_until_the_last_page_of_any_origin_has_gone() -> None:
    pages = folded(
        vote(1, "/a.css", path="/new"),
        vote(1, "/a.css", path="/new", origin="https://elsewhere.example"),
    )

    pages.forget("https://elsewhere.example/new", 9.0)
    assert pages.knows_path(b"/new")
    pages.forget("/new", 9.0)
    assert not pages.knows_path(b"/new")


def test_path_of_a_forgotten_pin_is_no_pages() -> None:
    pages = Map(OPTIONS)
    pages.obey(Rule(Verdict.PIN, "/pinned/*", "/a.css"))

    assert pages.knows_path(b"/pinned/1")
    pages.forget("/pinned/*", 9.0)
    assert not pages.knows_path(b"/pinned/1")


def test_asking_for_a_path_costs_no_more_where_there_are_many_new_pages() -> None:
    pages = Map(OPTIONS)

    def learned_and_asked(number: int) -> Callable[[], object]:
        def ask() -> None:
            pages.fold(vote(1, "/a.css", path=f"/{number}"))
            pages.knows_path(b"/none")

        return ask

    few = calls_of(learned_and_asked(0))
    for number in range(1, 500):
        pages.fold(vote(1, "/a.css", path=f"/{number}"))

    assert calls_of(learned_and_asked(500)) <= few


def test_paths_of_no_page_are_kept_within_bounds() -> None:
    pages = Map(OPTIONS)
    for number in range(3000):
        pages.knows_path(b"/api/%d" % number)
    pages.knows_path(b"/" + b"x" * 1000)

    assert 1 <= len(pages.no_pages) <= 512
    assert all(len(path) < 200 for path in pages.no_pages)


def test_two_versions_of_a_page_are_never_sent_together() -> None:
    known = two_versions()

    assert sorted(sent(known)) in (["/a.js", "/base.css"], ["/b.js", "/base.css"])
    assert {
        row.why for row in known.listing.rows() if row.page == ORIGIN + "/" and not row.sent
    } == {Judgement.VERSION}


def test_assets_of_one_view_belong_together_though_others_had_one_of_them() -> None:
    known = folded(
        vote(1, "/base.css", "/more.css"),
        *(vote(n, "/more.css", held=("/base.css",)) for n in range(2, 6)),
        *(vote(n, "/base.css") for n in range(6, 9)),
    )

    assert sorted(sent(known)) == ["/base.css", "/more.css"]


def test_a_view_that_was_counted_in_two_parts_asks_for_all_of_it_together() -> None:
    known = folded()
    for n in range(4):
        known.fold(vote(n, "/a.css", partial=True))
        known.fold(vote(n, "/b.css", held=("/a.css",), before=("/a.css",), continues=True))
        known.fold(vote(n + 10, "/a.css"))
        known.fold(vote(n + 20, "/b.css"))

    assert sorted(sent(known)) == ["/a.css", "/b.css"]


def test_an_old_name_goes_once_two_views_that_were_sent_nothing_did_without_it() -> None:
    known = folded(*(vote(n, "/old.css", "/base.css") for n in range(30)))
    # It is still there and hinted, so browsers go on to ask for it.
    hinted: dict[str, Any] = {"held": ("/old.css", "/base.css"), "fresh": False}
    for n in range(30, 36):
        known.fold(vote(n, "/new.css", **hinted))
    assert sorted(sent(known)) == ["/base.css", "/new.css", "/old.css"]

    for n in range(36, 38):
        known.fold(vote(n, "/new.css", "/base.css"))

    assert sorted(sent(known)) == ["/base.css", "/new.css"]


def segment_sent(known: Map, segment: int) -> list[str]:
    return sorted(candidate.target for candidate in known.candidates(ORIGIN, "/", segment))


def test_each_segment_of_a_pages_views_is_sent_what_it_asks_for() -> None:
    own = {0: "/desk.css", 1: "/phone.css"}
    known = folded(*(
        vote(n, "/base.css", own[n % 2], segment=n % 2) for n in range(8)
    ))  # fmt: skip

    for segment, target in own.items():
        assert segment_sent(known, segment) == ["/base.css", target]


def test_a_segment_without_views_is_sent_what_all_others_ask_for() -> None:
    known = folded(*(vote(n, "/base.css", segment=n % 2) for n in range(8)))

    assert segment_sent(known, 2) == ["/base.css"]


def test_segments_are_known_elsewhere_as_they_are_here() -> None:
    known = phones_and_desktops()

    other = elsewhere(known)

    assert segment_sent(other, 0) == ["/base.css", "/desk.css"]
    assert segment_sent(other, 1) == ["/base.css", "/phone.css"]
    assert list(other.export()) == list(known.export())


def test_a_map_of_phones_and_one_of_desktops_make_one_of_both() -> None:
    desktops = folded(*(vote(n, "/base.css", "/desk.css", segment=0) for n in range(4)))
    phones = folded(*(vote(n, "/base.css", "/phone.css", segment=1) for n in range(4, 8)))

    both = elsewhere(phones, into=desktops)

    (page,) = (r for r in both.export() if isinstance(r, PageRecord) and r.path == "/")
    shares = {t.asset.target: [(s.segment, s.asked) for s in t.segments] for t in page.assets}
    assert shares == {"/base.css": [(0, 4), (1, 4)], "/desk.css": [(0, 4)], "/phone.css": [(1, 4)]}
    for segment, target in ((0, "/desk.css"), (1, "/phone.css")) * 2:
        both.fold(vote(20 + segment, "/base.css", target, segment=segment))

    assert segment_sent(both, 0) == ["/base.css", "/desk.css"]
    assert segment_sent(both, 1) == ["/base.css", "/phone.css"]


def test_two_versions_are_never_sent_together_after_a_restart() -> None:
    known = two_versions()

    other = elsewhere(known)

    assert sent(other) == sent(known)
    assert list(other.export()) == list(known.export())


def test_versions_of_one_map_are_known_in_another_with_other_assets() -> None:
    # The same assets have other places there, and one place is another asset's.
    other = folded(*(vote(n, "/z.css", "/a.js") for n in range(30, 32)))

    elsewhere(two_versions(), into=other)

    assert len({"/a.js", "/b.js"}.intersection(sent(other))) == 1


def test_one_view_that_two_maps_know_of_makes_no_alternatives() -> None:
    seen_by_all = [vote(1, "/base.css", "/a.js"), vote(2, "/base.css", "/b.js", held=())]
    known, other = folded(*seen_by_all), folded(*seen_by_all)

    elsewhere(known, into=other)

    (page,) = (r for r in other.export() if isinstance(r, PageRecord) and r.path == "/")
    assert [t.together.often_apart for t in page.assets if t.together] == [0, 0, 0]
    assert any(t.together.apart for t in page.assets if t.together)


def test_a_map_that_was_written_before_segments_were_kept_is_read() -> None:
    known = elsewhere(phones_and_desktops(), older=True)

    assert segment_sent(known, 0) == segment_sent(known, 1)
    assert "/base.css" in segment_sent(known, 0)
    for n in range(20, 30):
        known.fold(vote(n, "/base.css", "/desk.css", segment=0))
    assert "/desk.css" in segment_sent(known, 0)


def test_an_asset_that_two_clients_asked_for_on_two_pages_is_so_after_a_restart() -> None:
    query = "/site.css?id=7"
    asset = replace(seen(query), lifetime=None)
    votes = [
        Vote(0.0, ORIGIN, f"/{n}", n, fresh=True, asked=(asset,), personal=True) for n in (1, 2)
    ]
    known = folded(*votes)
    assert sent(known, "/1") == [query]

    assert sent(elsewhere(known), "/1") == [query]
    assert sent(elsewhere(known, older=True), "/1") == [query]
    assert sent(elsewhere(folded(votes[1]), into=folded(votes[0])), "/1") == [query]
    assert sent(elsewhere(folded(votes[0])), "/1") == []


def test_what_segments_of_a_record_take_is_counted() -> None:
    known = phones_and_desktops()

    assert elsewhere(known).size == known.size


def test_an_asset_that_is_new_in_a_segment_is_doubted_as_at_the_page() -> None:
    known = folded(*(vote(n, "/base.css", segment=n % 2) for n in range(16)))
    known.fold(vote(20, "/base.css", "/once.css", segment=1))

    assert segment_sent(known, 1) == ["/base.css"]


def test_what_segments_take_is_given_back() -> None:
    known = folded(*(vote(n, "/base.css", segment=n % 2) for n in range(8)))
    before = known.size

    known.remove(Removal(ORIGIN, "/base.css"))
    known.forget("/", 1.0)

    assert before - known.size > SEGMENTS_BYTES
    assert known.size < before // 2


def test_a_voter_among_others_judges_what_a_page_was_sent_once() -> None:
    known = Map(OPTIONS)

    judged = [known.fold(vote(n, rendered=False, worth=0.0)) for n in (1, 2, 2)]

    assert judged == [True, True, False]


def test_a_view_is_measured_where_its_voter_has_not_had_a_turn() -> None:
    paths = ("/one", "/two")
    known = folded(*(vote(1, "/a.css", path=path) for path in paths))
    views = [vote(n, path="/one", loaded=1.0) for n in (1, 2, 2)]

    assert [known.measure(each) for each in views] == [True, True, False]
    # At the site it had its turn, at the other page not.
    assert known.measure(vote(2, path="/two", loaded=1.0))
    assert known.gain(ORIGIN, "") is not None


def test_a_report_counts_beside_what_the_server_measured() -> None:
    known = folded(vote(1, "/a.css"))
    views = [vote(n, loaded=1.0) for n in (1, 2)]
    reports = [Report(0.0, ORIGIN, "/", n, False, load=1.0) for n in (2, 1, 1)]

    assert [known.measure(each) for each in views] == [True, True]
    assert [known.report(each) for each in reports] == [True, True, False]
    assert not known.report(replace(reports[0], path="/unknown"))


def test_a_page_is_known_by_itself_by_its_pattern_or_by_a_pin() -> None:
    known = folded(*(vote(n, "/a.css", path=f"/p/{n}") for n in range(2)))
    known.obey(Rule(Verdict.PIN, "/pinned", "/a.css"))

    paths = ("/p/0", "/p/unseen", "/pinned", "/q/0", "/other")
    assert [known.knows_page(ORIGIN, path) for path in paths] == [True, True, True, False, False]
    assert not known.knows_page("https://other.example", "/p/0")
