"""Which state of an HTTP/1.1 connection may follow which."""

from __future__ import annotations

import pytest

from headstart.server.http1_state import Answers, State


def test_connection_answers_one_request_after_the_other() -> None:
    answers = Answers()
    for state in (State.CALLED, State.RESPONDING, State.IDLE, State.CALLED, State.IDLE):
        answers.become(state)

    assert answers.state is State.IDLE


@pytest.mark.parametrize("state", State)
def test_lost_connection_may_be_in_any_state_and_stays_lost(state: State) -> None:
    answers = Answers()
    answers.state = state
    answers.become(State.CLOSED)
    answers.become(State.CLOSED)

    assert answers.state is State.CLOSED


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (State.IDLE, State.RESPONDING),
        (State.CALLED, State.CALLED),
        (State.RESPONDING, State.CALLED),
        (State.RESPONDING, State.LINGERING),
        (State.LINGERING, State.CALLED),
        (State.CLOSED, State.IDLE),
    ],
)
def test_state_that_cannot_follow_is_a_fault(before: State, after: State) -> None:
    answers = Answers()
    answers.state = before

    with pytest.raises(RuntimeError, match=f"{after.name} cannot follow {before.name}"):
        answers.become(after)
