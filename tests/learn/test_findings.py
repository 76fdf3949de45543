"""Why less of a site is learned than could be: kept, told, forgotten, and said in words."""

from __future__ import annotations

import json

import pytest

from headstart.learn import Cause, Finding, Learner, explain, from_plain, to_plain
from headstart.learn.findings import Findings

ORIGIN = "https://example.org"
FOUND = Finding(ORIGIN, Cause.NO_STORE, "/static/*", 1000.0)


def later(seconds: float) -> Finding:
    return Finding(ORIGIN, Cause.NO_STORE, "/static/*", 1000.0 + seconds)


def test_finding_is_new_once_and_told_again_each_hour_that_it_goes_on() -> None:
    findings = Findings()

    assert [findings.take(later(s)) for s in (0.0, 10.0, 3700.0, 3710.0)] == [
        (True, True),
        (False, False),
        (False, True),
        (False, False),
    ]


def test_finding_that_was_not_seen_for_a_day_is_forgotten_and_new_when_it_comes_back() -> None:
    findings = Findings()
    findings.take(FOUND)

    assert findings.of(ORIGIN, 1000.0 + 86_400.0) == [FOUND]
    assert findings.of(ORIGIN, 1000.0 + 86_401.0) == []
    assert findings.take(later(90_000.0)) == (True, True)


def test_so_many_findings_are_kept() -> None:
    findings = Findings()
    for number in range(1000):
        findings.take(Finding(f"https://{number}.example", Cause.HTTP_1, "", 1.0))

    assert len(list(findings)) == 200
    assert findings.of("https://999.example", 1.0)
    assert not findings.of("https://0.example", 1.0)


def test_other_workers_know_what_one_has_told() -> None:
    one, other = Learner(), Learner()
    first = one.note(FOUND)
    other.absorb(one.sync(1001.0))

    assert first
    assert not other.note(later(5.0))
    assert list(other.findings) == [FOUND]


@pytest.mark.parametrize("cause", Cause)
def test_each_cause_survives_json_and_has_words_of_its_own(cause: Cause) -> None:
    found = Finding(ORIGIN, cause, "/static/*", 1000.0)
    others = {
        explain(Finding(ORIGIN, other, "/static/*", 1.0)) for other in Cause if other != cause
    }

    assert from_plain(json.loads(json.dumps(to_plain(found)))) == found
    assert explain(found).endswith((".", "?", ")?"))
    assert explain(found) not in others
