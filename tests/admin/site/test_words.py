"""Each reason has words of its own."""

from __future__ import annotations

from enum import StrEnum

import pytest

from headstart.admin.site import words
from headstart.reasons import Closing, Refusal


@pytest.mark.parametrize(
    ("reasons", "said"),
    [(Refusal, words.refusal), (Closing, words.closing), (Refusal, words.withheld)],
)
def test_each_reason_has_words_of_its_own(reasons: type[StrEnum], said: object) -> None:
    assert callable(said)
    found = [said(str(reason)) for reason in reasons]

    wordless = [
        reason
        for reason in reasons
        if said(str(reason)) in (str(reason), f"nothing was sent: {reason}")
    ]
    assert wordless == [], "these need words in admin/site/words.py"
    assert len(set(found)) == len(reasons)
    assert not set(found) & {str(reason) for reason in reasons}


def test_refusal_of_a_whole_view_is_said_in_the_words_of_an_assets() -> None:
    said = words.withheld(str(Refusal.SAVE_DATA))

    assert said == f"nothing was sent: {words.refusal(str(Refusal.SAVE_DATA))}"


def test_reason_of_another_version_is_shown_as_it_is() -> None:
    assert words.refusal("new-reason") == "new-reason"
    assert words.metric("new-metric") == "new-metric"
