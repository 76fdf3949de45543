"""One log before the real middleware, the learner alone, its rivals and the bounds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from headstart.learn import Answer
from headstart.learn.exchange import Exchange
from headstart.learn.logs import LogLine
from headstart.replay.assumptions import Mode
from headstart.replay.ideal import IDEAL
from headstart.replay.replay import Replay
from tests.replay.test_rivals import line


def visits(number: int) -> Iterator[LogLine]:
    """Page loads of clients that were never here, with stylesheets of unknown lifetime."""
    for one in range(number):
        client: dict[str, Any] = {
            "address": f"192.0.2.{one}",
            "user_agent": "Mozilla/5.0 Firefox/128.0",
        }
        yield line(60.0 * one, "/", destination="document", **client)
        for target in ("/plain.css", "/a.css?v=1"):
            time = 60.0 * one + 0.1
            asset = line(time, target, "/", **client).exchange.request
            answer = Answer(200, "text/css", cache_control=None, validated=None)
            yield LogLine(time, Exchange(asset, answer))


def test_real_middleware_comes_first_and_is_alone_without_rivals() -> None:
    scores = Replay(rivals=False).run(visits(3))

    assert [score.views for score in scores] == [3]


def test_rivals_and_bounds_stand_behind_it() -> None:
    names = [score.name for score in Replay(oracle=True).run(visits(3))]
    pushed = [score.name for score in Replay(oracle=True, mode=Mode.PUSH).run(visits(3))]

    assert IDEAL in names[1:]
    assert len(set(names)) == len(names)
    # The bound for hints is worked out for hints only.
    assert len(pushed) == len(names) - 1


def test_learner_alone_can_be_read_afterwards() -> None:
    replay = Replay()
    replay.run(visits(4))

    assert replay.learner.size().pages == 1
    assert replay.unlearned == 1


def test_without_rivals_there_is_no_learner_alone() -> None:
    replay = Replay(rivals=False)

    with pytest.raises(AssertionError, match="made with rivals=True"):
        _ = replay.learner
    with pytest.raises(AssertionError, match="made with rivals=True"):
        _ = replay.unlearned
