"""Tests of headstart.learn.counts."""

from __future__ import annotations

from random import Random

import pytest

from headstart.learn import Kind, SeenAsset
from headstart.learn.counts import VOTERS, Asset, Association, Share, Voters, count_missed
from tests.counting import calls_of

DAY = 86_400.0


def test_a_share_starts_from_its_prior_and_ends_at_what_was_counted() -> None:
    share = Share()
    assert share.estimate(0.5) == 0.5

    for _ in range(1000):
        share.add(1.0, 32)

    assert share.estimate(0.0) == pytest.approx(32 / 33)


def test_a_share_forgets_what_was_long_ago() -> None:
    share = Share()
    for _ in range(100):
        share.add(1.0, 32)

    for _ in range(100):
        share.add(0.0, 32)

    assert share.tries == pytest.approx(32)
    assert share.estimate(0.0) < 0.05


def test_a_full_share_makes_room_for_each_try_by_a_part_of_what_it_holds() -> None:
    share = Share()
    counted = []
    for hit in (1.0, 1.0, 1.0, 1.0, 0.0, 0.0):
        share.add(hit, 4)
        counted.append((share.tries, share.hits))

    assert counted == [(1, 1), (2, 2), (3, 3), (4, 4), (4, 3), (4, 2.25)]


def test_one_voter_alone_counts_each_time() -> None:
    voters = Voters()

    assert all(voters.admit(1, float(now)) for now in range(100))
    assert voters.alone


def test_one_voter_among_others_has_a_fifth_of_the_votes_at_most() -> None:
    voters = Voters()
    counted = 0
    for honest in range(1000):
        voters.admit(10_000 + honest, 0.0)
        counted += sum(voters.admit(1, 0.0) for _ in range(10))

    assert counted <= 1000 / 4 + VOTERS


@pytest.mark.parametrize(("others", "counts"), [(1, False), (3, False), (4, True), (7, True)])
def test_a_voter_counts_again_once_half_of_seven_others_have(others: int, counts: bool) -> None:
    voters = Voters()
    for voter in range(8):
        voters.admit(voter, 0.0)
    voters.admit(0, 0.0)
    for other in range(1, 1 + others):
        voters.admit(other, 0.0)

    assert voters.admit(0, 0.0) is counts


def test_a_voter_has_no_vote_while_the_others_are_silent() -> None:
    voters = Voters()
    voters.admit(2, 0.0)
    voters.admit(1, 0.0)

    assert not any(voters.admit(1, 60.0) for _ in range(10_000))


def test_after_a_day_a_voter_that_never_came_back_holds_up_nobody() -> None:
    voters = Voters()
    voters.admit(2, 0.0)
    voters.admit(1, 0.0)

    assert voters.admit(1, DAY + 1.0)


@pytest.mark.parametrize(("later", "counts"), [(DAY, False), (DAY + 1.0, True)])
def test_voters_are_remembered_for_a_day_since_the_last_of_them(later: float, counts: bool) -> None:
    now, voters = 1e9, Voters()
    voters.admit(2, now)
    voters.admit(1, now)

    assert voters.admit(1, now + later) is counts


def test_ninth_voter_takes_the_place_of_the_first() -> None:
    voters = Voters()

    assert all(voters.admit(voter, 0.0) for voter in range(VOTERS + 1))
    assert voters.recent == list(range(1, VOTERS + 1))


def test_two_regular_clients_both_count() -> None:
    voters = Voters()

    votes = [voters.admit(voter, 0.0) for _ in range(10) for voter in (1, 2)]

    assert all(votes)


def test_misses_in_a_row_unmake_a_long_history() -> None:
    association = Association(Asset(1, SeenAsset("/a.css", Kind.STYLE)), 1, 0.0)
    for voter in range(100):
        association.wanted(voter, 32)

    for _ in range(4):
        count_missed([association], 1, 32, 4, 0)

    assert association.estimate(1.0) < 0.5


def test_as_many_misses_in_a_row_as_are_allowed_and_no_fewer_start_an_asset_anew() -> None:
    association = Association(Asset(1, SeenAsset("/a.css", Kind.STYLE)), 1, 0.0)
    for _ in range(8):
        association.wanted(1, 32)
    counted = []
    for miss in (True, True, False, True, True, True):
        if miss:
            count_missed([association], 1, 32, 3, 0)
        else:
            association.wanted(1, 32)
        counted.append((association.tries, association.hits))

    assert counted == [(9, 8), (10, 8), (11, 9), (12, 9), (13, 9), (3, 0)]


def test_first_misses_in_a_row_start_an_asset_anew() -> None:
    association = Association(Asset(1, SeenAsset("/a.css", Kind.STYLE)), 1, 0.0)
    counted = []
    for _ in range(3):
        count_missed([association], 1, 32, 3, 0)
        counted.append((association.tries, association.run))

    assert counted == [(1, 1), (2, 2), (3, 3)]


def _counted_plainly(
    association: Association, asks: bool, memory: int, misses: int
) -> tuple[float, float, int]:
    """Return the tries, the hits and the run after a view, by the rule and without shortcuts."""
    share = Share(association.tries, association.hits)
    share.add(float(asks), memory)
    run = 0 if asks else association.run + 1
    if run >= misses:
        share.hits, share.tries = 0.0, min(share.tries, float(misses))
    return share.tries, share.hits, run


@pytest.mark.parametrize(("memory", "misses"), [(32, 4), (32, 1), (4, 4), (3, 4), (5, 4)])
def test_asset_that_nobody_asks_for_any_more_is_counted_as_any_other(
    memory: int, misses: int
) -> None:
    random = Random(misses)
    association = Association(Asset(1, SeenAsset("/a.css", Kind.STYLE)), 1, 1.0)
    for number in range(300):
        asks = random.random() < 0.15
        if number % 50 == 49:
            # As a record of another worker leaves it, which asked for it later.
            association.hits, association.tries, association.run = 2.0, float(misses), misses
        expected = _counted_plainly(association, asks, memory, misses)

        if asks:
            association.wanted(number % 3, memory)
        else:
            count_missed([association], number % 3, memory, misses, number)
            assert association.last == number

        assert (association.tries, association.hits, association.run) == expected


def test_assets_that_a_view_did_not_ask_for_are_counted_by_one_call() -> None:
    assets = [Asset(key, SeenAsset(f"/{key}.css", Kind.STYLE)) for key in range(1, 65)]
    associations = [Association(asset, 1, 0.0) for asset in assets]
    for voter in range(8):
        count_missed(associations, voter, 32, 4, 0)

    assert calls_of(lambda: count_missed(associations, 9, 32, 4, 0)) == 2


def test_two_good_deliveries_are_taken_for_granted() -> None:
    association = Association(Asset(1, SeenAsset("/a.css", Kind.STYLE)), 1, 0.0)
    worth = [association.usefulness()]
    for used in (False, False, True):
        association.delivered(used, 32)
        worth.append(association.usefulness())

    assert worth == [1.0, pytest.approx(2 / 3), 0.5, pytest.approx(3 / 5)]


def test_only_another_voter_confirms_an_association() -> None:
    association = Association(Asset(1, SeenAsset("/a.css", Kind.STYLE)), 1, 0.0)

    association.wanted(1, 32)
    assert not association.confirmed

    association.wanted(2, 32)
    assert association.confirmed


def test_what_a_log_leaves_open_does_not_unsay_what_was_seen() -> None:
    asset = Asset(1, SeenAsset("/a.css", Kind.STYLE, "text/css", False, 10, 60, True))

    asset.see(SeenAsset("/a.css", Kind.STYLE, size=20))

    assert asset.seen == SeenAsset("/a.css", Kind.STYLE, "text/css", False, 20, 60, True)


def test_log_without_a_size_leaves_the_size_that_was_seen() -> None:
    known = SeenAsset("/a.css", Kind.STYLE, "text/css", False, 10, 60, True)
    asset = Asset(1, known)

    asset.see(SeenAsset("/a.css", Kind.STYLE))

    assert asset.seen is known


@pytest.mark.parametrize("verified", [True, False])
def test_what_was_seen_last_holds_with_one_copy_of_its_url(verified: bool) -> None:
    asset = Asset(1, SeenAsset("/a.css", Kind.STYLE, "text/css", False, 10, 60, verified))
    target = asset.seen.target
    last = SeenAsset("".join(["/a", ".css"]), Kind.STYLE, "text/css", True, 30, 90, verified)

    asset.see(last)

    assert asset.seen == last
    assert asset.seen.target is target


def test_log_is_believed_where_nothing_better_is_known() -> None:
    asset = Asset(1, SeenAsset("/a.css", Kind.STYLE))

    asset.see(SeenAsset("/a.css", Kind.STYLE, "text/css", False, 10, 60, True))

    assert asset.seen.lifetime == 60


def test_new_asset_has_been_judged_by_nobody_and_is_asked_for_by_all() -> None:
    asset = Asset(1, SeenAsset("/a.css", Kind.STYLE))

    assert (asset.checked, asset.asker, asset.doubter, asset.uses) == (0, 0, 0, 0)


def test_two_refused_clients_unmake_what_one_cannot() -> None:
    asset = Asset(1, SeenAsset("/a.css", Kind.STYLE))

    assert [asset.doubted_by(voter) for voter in (7, 7, 7, 8)] == [False, False, False, True]


def test_the_only_client_that_asked_is_believed_when_it_is_refused() -> None:
    assert Asset(1, SeenAsset("/a.css", Kind.STYLE), asker=7).doubted_by(7)


def test_asset_of_another_version_of_its_page_has_no_past() -> None:
    association = Association(Asset(1, SeenAsset("/a.css", Kind.STYLE), 7), 7, 0.0)
    association.wanted(8, 32)
    count_missed([association], 9, 32, 4, 0)
    before = association.hits, association.tries, association.run

    association.restart()

    assert before == (1.0, 2.0, 1)
    assert (association.hits, association.tries, association.run) == (0.0, 0.0, 0)
