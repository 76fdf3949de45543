"""Pushes and hints as the application and the server see them.

An application's call makes one, the server fills it in, the application reads it. On servers other
than ours nobody fills it in: a push that the server's extension took is `SENT` and stays so.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from headstart.reasons import Refusal


class PushState(StrEnum):
    """What became of a push."""

    OFFERED = "offered"
    """The server was not asked yet."""
    REFUSED = "refused"
    """Not sent; `Push.refusal` says why."""
    SENT = "sent"
    """The PUSH_PROMISE is on its way, the response is being made."""
    RESET = "reset"
    """The client, or a fault, ended it with RST_STREAM."""
    FINISHED = "finished"
    """The whole response was written."""


@dataclass(slots=True)
class Push:
    """One push, from the offer to its end. True when it was sent.

    Attributes:
        path: Path and query of the promised request.
        state: What became of it so far; the server updates it.
        refusal: Why it was not sent, if it was not.
        stream_id: The promised stream, 0 while there is none or where it is unknown.
    """

    path: str
    state: PushState = PushState.OFFERED
    refusal: Refusal | None = None
    stream_id: int = 0

    def refuse(self, refusal: Refusal) -> None:
        """It was not sent."""
        self.state, self.refusal = PushState.REFUSED, refusal

    def sent(self, stream_id: int) -> None:
        """Its promise was accepted for sending."""
        self.state, self.stream_id = PushState.SENT, stream_id

    def __bool__(self) -> bool:
        return self.state not in (PushState.OFFERED, PushState.REFUSED)


@dataclass(slots=True)
class Hint:
    """One 103 response. True when it was sent.

    Attributes:
        refusal: Why it was not sent, if it was not.
    """

    sent: bool = False
    refusal: Refusal | None = None

    def refuse(self, refusal: Refusal) -> None:
        """It was not sent."""
        self.sent, self.refusal = False, refusal

    def __bool__(self) -> bool:
        return self.sent
