"""What the learner costs, loosely: machines that run tests are slow. `cost` has the figures."""

from __future__ import annotations

from tests.learn.cost import costs


def test_neither_a_page_nor_anything_else_takes_long() -> None:
    figures = costs()

    assert figures["no page: a call of an API"] < 30.0
    assert figures["no page: a known asset of a live view"] < 30.0
    assert figures["a page with 20 candidates"] < 300.0
