"""How a page's assets were sent, read from its scope."""

from __future__ import annotations

from typing import Any

import pytest

from headstart.deliver.decide import Decision, Way
from headstart.deliver.outcome import Push
from headstart.observe.delivered import Delivered, best_way, delivered
from headstart.reasons import Refusal


class Candidate:
    """Of a candidate, only its target is read."""

    def __init__(self, target: str) -> None:
        self.target = target


def decision(target: str, way: Way, refusal: Refusal | None = None) -> Decision:
    candidate: Any = Candidate(target)
    return Decision(candidate, way, refusal)


def pushed(path: str, refusal: Refusal | None = None) -> dict[str, str | None]:
    push = Push(path)
    if refusal is None:
        push.mark_sent(2)
    else:
        push.refuse(refusal)
    return push.record


@pytest.mark.parametrize(
    ("used", "control", "way"),
    [
        ({Way.LINK, Way.HINT, Way.PUSH}, False, "push"),
        ({Way.LINK, Way.HINT}, True, "hint"),
        ({Way.LINK}, False, "link"),
        (set(), True, "control"),
        (set(), False, "nothing"),
    ],
)
def test_best_way_is_the_one_that_saves_most(used: set[Way], control: bool, way: str) -> None:
    assert best_way(used, control=control) == way


def test_request_for_no_page_has_nothing_to_tell() -> None:
    assert delivered({"type": "http"}) is None
    assert delivered({"type": "http", "extensions": {"headstart": {"pushes": ()}}}) is None


def test_page_without_known_assets_got_nothing() -> None:
    assert delivered({"headstart.ways": set()}) == Delivered("nothing", [], {})


def test_decisions_are_sent_or_refused_with_their_reason() -> None:
    scope = {
        "headstart.ways": {Way.HINT, Way.LINK},
        "headstart.decisions": [
            decision("/a.css", Way.HINT, Refusal.PUSH_DISABLED),
            decision("/b.js", Way.NOTHING, Refusal.IMPROBABLE),
            decision("/c.js", Way.LINK),
        ],
    }

    assert delivered(scope) == Delivered("hint", ["/a.css", "/c.js"], {"/b.js": "improbable"})


def test_control_view_is_told_by_the_reason_of_its_refusals() -> None:
    scope = {
        "headstart.ways": set(),
        "headstart.decisions": [decision("/a.css", Way.NOTHING, Refusal.CONTROL_VIEW)],
    }

    assert delivered(scope) == Delivered("control", [], {"/a.css": "control-view"})


def test_pushes_of_the_application_count_without_the_middleware_too() -> None:
    pushes = [pushed("/a.css"), pushed("/b.js", Refusal.TOO_MANY)]
    scope = {"extensions": {"headstart": {"pushes": pushes}}}

    assert delivered(scope) == Delivered("push", ["/a.css"], {"/b.js": "too-many"})
    only_refused = {"extensions": {"headstart": {"pushes": pushes[1:]}}}
    assert delivered(only_refused) == Delivered("nothing", [], {"/b.js": "too-many"})
