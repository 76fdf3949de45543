"""How far the response of one call is: the states, and which may follow which.

`cycle.Cycle` sets its state as the application's messages come. It does not look into the table,
since a call of Python for each step would cost more than the step; the tests do.
"""

from __future__ import annotations

from enum import IntEnum, auto
from typing import Final


# Integers, since they are compared in order.
class ResponseState(IntEnum):
    """How far a response is."""

    AWAITED = auto()
    """The application has not begun to respond."""
    HELD = auto()
    """The header section is here, and is held until the first part of the body (ASGI, HTTP)."""
    BODY = auto()
    """The header section was sent. The body, or its trailers, are still to come."""
    LAST_PART = auto()
    """The application has sent the whole response, and its last part waits for room."""
    COMPLETE = auto()
    """The whole response was handed to the wire."""


# A global name costs a call of the application less than an attribute of the class.
AWAITED: Final = ResponseState.AWAITED
HELD: Final = ResponseState.HELD
BODY: Final = ResponseState.BODY
LAST_PART: Final = ResponseState.LAST_PART
COMPLETE: Final = ResponseState.COMPLETE

NEXT: Final = {
    # To COMPLETE: the application failed, and the client got a 500.
    AWAITED: frozenset({HELD, COMPLETE}),
    HELD: frozenset({BODY, COMPLETE}),
    BODY: frozenset({LAST_PART, COMPLETE}),
    LAST_PART: frozenset({COMPLETE}),
    COMPLETE: frozenset[ResponseState](),
}
"""The states that may follow each. A stream that is reset keeps the state that it was in."""
