"""How far the answers of one HTTP/1.1 connection are: the states, and which may follow which.

A connection answers one request at a time (RFC 9112, 9.3.2). `http1.Http1Connection` owns an
`Answers` and moves it; anything else is a fault of ours, and raises.
"""

from __future__ import annotations

from enum import IntEnum, auto
from typing import Final


# Integers, since the hash of other members is a call of Python.
class State(IntEnum):
    """How far the answers of a connection are."""

    IDLE = auto()
    """Nothing waits for an answer that has not been written."""
    CALLED = auto()
    """The application has been called, and has not begun to respond."""
    RESPONDING = auto()
    """A response has begun and not ended."""
    LINGERING = auto()
    """The last response is written; whatever the client still sends is dropped."""
    CLOSED = auto()
    """The connection is closing or lost, or another protocol has it."""


_NEXT: Final = {
    State.IDLE: frozenset({State.CALLED, State.LINGERING, State.CLOSED}),
    # From CALLED to IDLE: the response came whole, or the request broke off before it.
    State.CALLED: frozenset({State.RESPONDING, State.IDLE, State.CLOSED}),
    State.RESPONDING: frozenset({State.IDLE, State.CLOSED}),
    State.LINGERING: frozenset({State.CLOSED}),
    State.CLOSED: frozenset({State.CLOSED}),
}


class Answers:
    """The state of one connection's answers.

    Attributes:
        state: The state.
    """

    __slots__ = ("state",)

    def __init__(self) -> None:
        self.state = State.IDLE

    def become(self, state: State) -> None:
        """Go on to a state.

        Raises:
            RuntimeError: It cannot follow.
        """
        if state not in _NEXT[self.state]:
            raise RuntimeError(f"{state.name} cannot follow {self.state.name}")
        self.state = state
