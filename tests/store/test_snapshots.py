"""Tests of the choice of the worker that writes the next snapshot."""

from __future__ import annotations

import pytest

from headstart.store.pending import Pending
from headstart.store.snapshots import SnapshotDuty


class Medium:
    """Give the next snapshot to the worker that forces it, and note how it was asked."""

    def __init__(self) -> None:
        self.forced: list[bool] = []

    def claim(self, *, force: bool) -> bool:
        self.forced.append(force)
        return force


def test_worker_whose_records_were_dropped_claims_snapshots_until_it_has_written_one() -> None:
    duty, pending, medium = SnapshotDuty(), Pending(), Medium()
    pending.dropped = True

    duty.settle(pending, written=False, claim=medium.claim)
    assert (duty.is_claimed, duty.is_owed, pending.dropped) == (True, True, False)
    duty.settle(pending, written=False, claim=medium.claim)
    assert (duty.is_claimed, duty.is_owed) == (True, True)
    duty.settle(pending, written=True, claim=medium.claim)

    assert (duty.is_claimed, duty.is_owed) == (False, False)
    assert medium.forced == [True, True, False]


def test_snapshot_that_was_written_has_the_records_that_were_dropped_before() -> None:
    duty, pending, medium = SnapshotDuty(), Pending(), Medium()
    pending.dropped = True

    duty.settle(pending, written=True, claim=medium.claim)

    assert (duty.is_owed, pending.dropped) == (False, False)


def test_claim_that_fails_leaves_the_snapshot_owed() -> None:
    duty, pending = SnapshotDuty(), Pending()
    pending.dropped = True

    def fail(*, force: bool) -> bool:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        duty.settle(pending, written=False, claim=fail)

    assert (duty.is_claimed, duty.is_owed) == (False, True)
