"""What was sent ahead with a page, read from the scope of its request.

The middleware leaves its decisions there, the server the application's own pushes. Called by
`access` and `tracing` when the request has ended, since a push may be refused late.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from headstart.deliver.asgi import Scope, headstart_extension
from headstart.deliver.decide import Decision, Way
from headstart.deliver.outcome import PushState
from headstart.reasons import Refusal

# The best way that was used comes first.
_WAYS = (Way.PUSH, Way.HINT, Way.LINK)
_CONTROL, _NOTHING = "control", "nothing"
_NOT_SENT = (PushState.OFFERED.value, PushState.REFUSED.value)


@dataclass(frozen=True, slots=True)
class Delivered:
    """How a page's assets were sent.

    Attributes:
        way: The best way that was used: push, hint, link; control or nothing without any.
        sent: The assets that were sent ahead.
        refused: Those that were not, with the reason.
    """

    way: str
    sent: list[str]
    refused: dict[str, str]


def best_way(used: Iterable[Way], *, control: bool) -> str:
    """Return the best of the ways in which assets were sent, as a word.

    Args:
        used: The ways.
        control: The view got nothing so that it can be compared.
    """
    ways = set(used)
    nothing = _CONTROL if control else _NOTHING
    return next((way.value for way in _WAYS if way in ways), nothing)


def delivered(scope: Scope) -> Delivered | None:
    """Return how a page's assets were sent, or None if the request was not for a page."""
    ways: set[Way] | None = scope.get("headstart.ways")
    decisions: Sequence[Decision] = scope.get("headstart.decisions", ())
    ours = headstart_extension(scope)
    pushes = () if ours is None else ours.get("pushes", ())
    if ways is None and not (decisions or pushes):
        return None
    sent: dict[str, None] = {}
    refused: dict[str, str] = {}
    control = False
    for decision in decisions:
        target = decision.candidate.target
        if decision.way is not Way.NOTHING:
            sent[target] = None
        elif decision.refusal is not None:
            refused[target] = decision.refusal.value
            control |= decision.refusal is Refusal.CONTROL_VIEW
    for push in pushes:
        path = push["path"] or ""
        if push["state"] not in _NOT_SENT:
            sent[path] = None
        elif push["refusal"] is not None:
            refused.setdefault(path, push["refusal"])
    used = set(ways or ())
    if any(push["state"] not in _NOT_SENT for push in pushes):
        used.add(Way.PUSH)
    return Delivered(best_way(used, control=control), list(sent), refused)
