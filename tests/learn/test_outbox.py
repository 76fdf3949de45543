"""The records that wait for other workers, within a part of the learner's bytes."""

from __future__ import annotations

from headstart.learn import Vote
from headstart.learn.outbox import Outbox
from headstart.learn.records import Removal
from headstart.learn.votes import weight
from tests.learn.site import ORIGIN
from tests.learn.voting import vote

# Two hundredths of the learner's bytes may wait; these weigh 300 each.
REMOVALS = [Removal(ORIGIN, f"/{number}.css") for number in range(6)]


def outbox_for(records: int) -> Outbox:
    """Return an outbox that has room for so many removals."""
    return Outbox(records * 300 * 50)


def test_records_come_out_once_and_in_order() -> None:
    outbox = outbox_for(10)
    for removal in REMOVALS[:3]:
        outbox.add(removal)

    assert outbox.take() == REMOVALS[:3]
    assert outbox.take() == []


def test_last_record_that_fits_is_kept_and_the_next_one_is_not() -> None:
    outbox = outbox_for(4)
    for removal in REMOVALS:
        outbox.add(removal)

    assert outbox.take() == REMOVALS[:4]


def test_room_is_there_again_after_each_take() -> None:
    outbox = outbox_for(2)
    taken = []
    for _ in range(3):
        for removal in REMOVALS:
            outbox.add(removal)
        taken.append(outbox.take())

    assert taken == [REMOVALS[:2]] * 3


def test_vote_with_many_assets_takes_the_room_of_many_removals() -> None:
    large = vote(1, *(f"/{number}.css" for number in range(60)))
    assert isinstance(large, Vote)
    outbox = Outbox(weight(large) * 50)

    outbox.add(REMOVALS[0])
    outbox.add(large)

    assert outbox.take() == REMOVALS[:1]
    outbox.add(large)
    assert outbox.take() == [large]
