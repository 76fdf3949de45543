"""Pushes and hints as applications see them: true where they were sent."""

from __future__ import annotations

import pytest

from headstart.deliver.outcome import Hint, Push, PushState
from headstart.reasons import Refusal


@pytest.mark.parametrize("state", PushState)
def test_push_is_true_from_when_it_was_sent(state: PushState) -> None:
    sent = {PushState.SENT, PushState.RESET, PushState.FAILED, PushState.FINISHED}
    push = Push("/x")

    push.state = state

    assert bool(push) is push.sent is (state in sent)


def test_push_keeps_why_it_was_refused_or_where_it_went() -> None:
    refused, sent = Push("/x"), Push("/x")
    refused.refuse(Refusal.TOO_MANY)
    sent.mark_sent(4)

    assert (refused.state, refused.refusal) == (PushState.REFUSED, Refusal.TOO_MANY)
    assert (sent.state, sent.stream_id, sent.refusal) == (PushState.SENT, 4, None)


def test_hint_is_true_when_it_was_sent() -> None:
    hint = Hint(sent=True)
    assert hint
    hint.refuse(Refusal.TOO_LARGE)

    assert not hint
    assert hint.refusal is Refusal.TOO_LARGE
