"""What learning and deciding cost: that all of it is measured, and what is missed is said."""

from __future__ import annotations

import pytest

from bench import costs
from bench.costs import Cost


def test_each_figure_is_printed_beside_the_wanted_one(capsys: pytest.CaptureFixture[str]) -> None:
    status = costs.main(pages=20)

    printed = capsys.readouterr().out.splitlines()
    assert status in (0, 3)
    assert len(printed) == 10
    assert any(line.startswith("a page with 20 candidates ") for line in printed)
    assert any(line.startswith("deciding for 20 candidates ") for line in printed)


@pytest.mark.parametrize(("wanted", "status", "word"), [(3.0, 0, "3"), (1.0, 3, "missed")])
def test_a_figure_that_is_not_as_wanted_is_missed(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    wanted: float,
    status: int,
    word: str,
) -> None:
    monkeypatch.setattr(costs, "learning", lambda pages: [Cost("a call", 2.0, wanted)])
    monkeypatch.setattr(costs, "deciding", lambda: Cost("nothing", 1e9))
    monkeypatch.setattr(costs, "reading", list)

    assert costs.main() == status
    assert capsys.readouterr().out.splitlines()[1].split()[-1] == word
