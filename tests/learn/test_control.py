"""The views that get nothing."""

from __future__ import annotations

from typing import Any

from headstart.learn import (
    LearnOptions,
)
from tests.learn.site import ORIGIN
from tests.learn.voting import (
    elsewhere,
    folded,
    sent,
    two_versions,
    vote,
)


def test_one_view_in_thirty_two_is_a_control_view_and_the_first_ones_are_none() -> None:
    known = folded(vote(1, "/a.css"))

    control = [known.control.is_control(ORIGIN, "/") for _ in range(32 * 50)]

    assert not any(control[:16])
    assert all(sum(control[block * 32 : block * 32 + 32]) == 1 for block in range(50))


def test_no_page_has_a_control_view_in_its_first_half_block() -> None:
    for page in range(50):
        path = f"/p{page}"
        known = folded(vote(1, "/a.css", path=path))

        control = [known.control.is_control(ORIGIN, path) for _ in range(32)]

        assert not any(control[:16])
        assert sum(control) == 1


def test_no_control_views_where_they_are_turned_off() -> None:
    known = folded(vote(1, "/a.css"), options=LearnOptions(control_share=0))

    assert not any(known.control.is_control(ORIGIN, "/") for _ in range(100))


def test_a_page_that_may_have_alternatives_has_its_first_control_view_at_once() -> None:
    known = two_versions()
    assert len(sent(known)) == 2

    controls = [known.control.is_control(ORIGIN, "/") for _ in range(32)]

    assert controls[0]
    assert controls.count(True) == 1


def test_a_page_that_borrows_from_its_site_is_asked_once_whether_it_needs_that() -> None:
    known = folded(*(vote(n, "/base.css", path=f"/page{n}") for n in range(9)))
    hinted: dict[str, Any] = {"held": ("/base.css",), "fresh": False}
    for n in range(10, 14):
        known.fold(vote(n, "/own.css", path="/other", **hinted))
    assert "/base.css" in sent(known, "/other")

    assert known.control.is_control(ORIGIN, "/other")
    known.fold(vote(14, "/own.css", path="/other"))

    assert sent(known, "/other") == ["/own.css"]


def test_the_first_phone_of_a_page_still_gets_nothing_after_a_restart() -> None:
    known = elsewhere(folded(*(vote(n, "/desk.css", segment=0) for n in range(4))))

    assert known.control.is_control(ORIGIN, "/", 1)
    assert not known.control.is_control(ORIGIN, "/", 0)
