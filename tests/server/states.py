"""The states of all responses, looked up in the table that they should keep to."""

from __future__ import annotations

import pytest

from headstart.server.cycle import Cycle
from headstart.server.cycle_state import NEXT, ResponseState


class Watched:
    """Watches the state of each cycle while a test runs.

    Attributes:
        seen: The steps that were made, each a state and the one that followed it.
        wrong: Those of them that the table does not have.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen: set[tuple[ResponseState, ResponseState]] = set()
        self.wrong: list[tuple[ResponseState, ResponseState]] = []
        monkeypatch.setattr(Cycle, "state", property(self._state, self._become), raising=False)

    @staticmethod
    def _state(cycle: Cycle) -> ResponseState:
        found: ResponseState = cycle.__dict__.get("state", ResponseState.AWAITED)
        return found

    def _become(self, cycle: Cycle, state: ResponseState) -> None:
        before = self._state(cycle)
        cycle.__dict__["state"] = state
        if state is before:
            return
        self.seen.add((before, state))
        if state not in NEXT[before]:
            self.wrong.append((before, state))
