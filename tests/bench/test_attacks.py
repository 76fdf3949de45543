"""The figures of attacks, as the tests of the server append them."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest

from bench import attacks
from bench.attacks import Attack

FLOOD = Attack("a flood", 0.5, 100_000, 0.001, 0.002, 30)


def test_page_may_take_twice_as_long_and_a_little_more_for_a_shared_machine() -> None:
    assert replace(FLOOD, during=0.021).is_met
    assert not replace(FLOOD, during=0.023).is_met


def test_figures_are_read_as_they_were_appended() -> None:
    assert attacks.attacks_in([json.dumps(asdict(FLOOD))] * 2) == [FLOOD, FLOOD]


def test_attacks_that_are_named_are_measured_and_printed(
    capfd: pytest.CaptureFixture[str],
) -> None:
    name = "PRIORITY of four bytes"
    test = "test_mistakes_for_which_the_server_resets_are_counted_too"

    status = attacks.main([f"tests/server/test_attacks.py::{test}[{name}]"])

    assert status in (0, 3)
    assert name in capfd.readouterr().out


def test_test_that_fails_is_said() -> None:
    assert attacks.main(["tests/server/test_attacks.py::test_that_is_not_there"]) == 1
