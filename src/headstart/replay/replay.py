"""One log before the real middleware, the learner alone, its rivals and the bound.

The command and the tests call `Replay.run`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from headstart.config import DeliverOptions
from headstart.learn import Learner, LearnOptions
from headstart.learn.logs import LogLine
from headstart.replay.assumptions import Assumptions, Mode
from headstart.replay.hinting_oracle import HintingOracle
from headstart.replay.ideal import Ideal
from headstart.replay.live_process import play
from headstart.replay.loads import Loads, Step
from headstart.replay.oracle import Oracle
from headstart.replay.scores import Score


class Replay:
    """Feed a log to all ways of predicting, and keep their scores.

    Args:
        learn, deliver: The server's options.
        mode: How the server sends ahead.
        assumptions: Facts that the log does not hold.
        rivals: Play the learner alone and its rivals too.
        oracle: Work out the bounds too, which keeps every page load in memory; that for hints only
            if they are the mode.
    """

    def __init__(
        self,
        learn: LearnOptions | None = None,
        *,
        deliver: DeliverOptions | None = None,
        mode: Mode = Mode.HINT,
        assumptions: Assumptions | None = None,
        rivals: bool = True,
        oracle: bool = False,
    ) -> None:
        self._loads = Loads()
        self._arguments = mode, learn, deliver, assumptions
        self._ideal = Ideal(learn) if rivals else None
        self._oracles: list[Oracle | HintingOracle] = [Oracle()] if oracle else []
        if oracle and mode is Mode.HINT:
            self._oracles.append(HintingOracle(learn, deliver, assumptions))

    @property
    def learner(self) -> Learner:
        """Return the learner that learned while nothing was delivered."""
        assert self._ideal is not None, "made with rivals=True"
        return self._ideal.learner

    @property
    def unlearned(self) -> int:
        """Return the number of assets that `learner` lacks that have a query."""
        assert self._ideal is not None, "made with rivals=True"
        return self._ideal.unlearned

    def run(self, lines: Iterable[LogLine]) -> list[Score]:
        """Take all lines. Return the score of the real middleware first.

        Raises:
            ReplayProcessError: The log was long, and the second process that played it was killed.
        """
        found = [play(self._arguments, self._steps(lines))]
        if self._ideal is not None:
            found += self._ideal.scores
        found += (oracle.score for oracle in self._oracles)
        return found

    def _steps(self, lines: Iterable[LogLine]) -> Iterator[Step]:
        """Yield the steps of all lines, which the others have taken by then."""
        for line in lines:
            for step in self._loads.take(line):
                self._take(step)
                yield step
        for step in self._loads.until(float("inf")):
            self._take(step)
            yield step
        if self._ideal is not None:
            self._ideal.finish()
        for oracle in self._oracles:
            oracle.finish()

    def _take(self, step: Step) -> None:
        if self._ideal is not None:
            self._ideal.take(step)
        for oracle in self._oracles:
            oracle.take(step)
