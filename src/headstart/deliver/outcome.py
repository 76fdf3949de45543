"""Pushes and hints as the application and the server see them.

An application's call makes one, the server fills it in, the application reads it. On servers other
than ours nobody fills it in: a push that the server's extension took is `SENT` and stays so.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from headstart.reasons import Refusal


class PushState(StrEnum):
    """The state of a push."""

    OFFERED = "offered"
    """The server was not asked yet."""
    REFUSED = "refused"
    """Not sent; `Push.refusal` says why."""
    SENT = "sent"
    """The PUSH_PROMISE is on its way, the response is being made."""
    RESET = "reset"
    """The client ended it with RST_STREAM."""
    FAILED = "failed"
    """The connection was lost, or the response failed, before it was whole."""
    FINISHED = "finished"
    """The whole response was written."""


# Each with its plain word, for records. To ask an enum for a member or its value takes long.
_OFFERED, _SENT, _FINISHED = (
    (state, str(state)) for state in (PushState.OFFERED, PushState.SENT, PushState.FINISHED)
)


@dataclass(init=False)
class Push:
    """One push, from the offer to its end. It is true if the push was sent.

    One is made for each push, and CPython makes objects with slots by a slower way. Applications
    read it. The server changes it with `refuse` and the methods that mark its state.

    Attributes:
        path: Path and query of the promised request.
        state: Its state so far; the server updates it.
        refusal: Why it was not sent, None if it was.
        sent: True if it was sent; equal to the truth value of the push.
        stream_id: The promised stream, 0 before it is known.
        record: The same data as a plain dict, kept up to date.
    """

    path: str
    state: PushState
    refusal: Refusal | None
    stream_id: int
    record: dict[str, str | None] = field(repr=False, compare=False)

    # CPython calls an __init__ without optional arguments, and sets attributes that the class has
    # no defaults for, by a faster way.
    def __init__(self, path: str) -> None:
        self.path = path
        self.state, word = _OFFERED
        self.refusal = None
        self.stream_id = 0
        self.record = {"path": path, "state": word, "refusal": None}

    @property
    def sent(self) -> bool:
        """Return true if its promise was accepted for sending, even if the push failed later."""
        return self.state not in (PushState.OFFERED, PushState.REFUSED)

    def refuse(self, refusal: Refusal) -> None:
        """Record that it was not sent."""
        self.state, self.refusal = PushState.REFUSED, refusal
        self.record.update(state=str(self.state), refusal=str(refusal))

    def mark_sent(self, stream_id: int) -> None:
        """Record that its promise was accepted for sending."""
        self.state, self.record["state"] = _SENT
        self.stream_id = stream_id

    def mark_reset(self) -> None:
        """Record that the client does not want it."""
        self.state, self.record["state"] = PushState.RESET, str(PushState.RESET)

    def mark_failed(self) -> None:
        """Record that it ended before its response was whole, and not because of the client."""
        self.state, self.record["state"] = PushState.FAILED, str(PushState.FAILED)

    def mark_finished(self) -> None:
        """Record that its stream has closed with the whole response."""
        self.state, self.record["state"] = _FINISHED

    def __bool__(self) -> bool:
        return self.sent


@dataclass(slots=True)
class Hint:
    """One 103 response. True when it was sent, or when its links go with the page's response.

    Attributes:
        sent: As a 103.
        linked: As Link fields of the page's own response, because a 103 came too late or would be
            of no use to this client.
        refusal: Why it was not sent, if it was neither.
    """

    sent: bool = False
    refusal: Refusal | None = None
    linked: bool = False

    def refuse(self, refusal: Refusal) -> None:
        """Record that it was not sent."""
        self.sent, self.refusal = False, refusal

    def link(self) -> None:
        """Its links go with the page's own response."""
        self.sent, self.linked, self.refusal = False, True, None

    def __bool__(self) -> bool:
        return self.sent or self.linked
