"""Tests of headstart.learn.counts."""

from __future__ import annotations

import pytest

from headstart.learn import Kind, Sighting
from headstart.learn.counts import VOTERS, Asset, Association, Share, Voters

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


def test_two_regular_clients_both_count() -> None:
    voters = Voters()

    votes = [voters.admit(voter, 0.0) for _ in range(10) for voter in (1, 2)]

    assert all(votes)


def test_misses_in_a_row_unmake_a_long_history() -> None:
    association = Association(Asset(1, Sighting("/a.css", Kind.STYLE)), 1, 0.0)
    for voter in range(100):
        association.wanted(voter, 32)

    for _ in range(4):
        association.missed(32, 4)

    assert association.estimate(1.0) < 0.5


def test_only_another_voter_confirms_an_association() -> None:
    association = Association(Asset(1, Sighting("/a.css", Kind.STYLE)), 1, 0.0)

    association.wanted(1, 32)
    assert not association.confirmed

    association.wanted(2, 32)
    assert association.confirmed


def test_what_a_log_leaves_open_does_not_unsay_what_was_seen() -> None:
    asset = Asset(1, Sighting("/a.css", Kind.STYLE, "text/css", False, 10, 60, True))

    asset.see(Sighting("/a.css", Kind.STYLE, size=20))

    assert asset.seen == Sighting("/a.css", Kind.STYLE, "text/css", False, 20, 60, True)


def test_two_refused_clients_unmake_what_one_cannot() -> None:
    asset = Asset(1, Sighting("/a.css", Kind.STYLE))

    assert [asset.doubted_by(voter) for voter in (7, 7, 7, 8)] == [False, False, False, True]


def test_the_only_client_that_asked_is_believed_when_it_is_refused() -> None:
    assert Asset(1, Sighting("/a.css", Kind.STYLE), asker=7).doubted_by(7)
