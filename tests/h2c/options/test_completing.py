"""`h2c completion`."""

from __future__ import annotations

import pytest

from headstart.h2c import options
from headstart.h2c.options.completing import SHELLS, Completion
from tests.h2c.options.typed import mistake


@pytest.mark.parametrize("shell", SHELLS)
def test_the_shells_are_known(shell: str) -> None:
    assert options.parse(["completion", shell]) == Completion(shell)


@pytest.mark.parametrize("arguments", [[], ["csh"]])
def test_another_shell_is_a_mistake(arguments: list[str]) -> None:
    assert mistake("completion", *arguments).endswith("see 'h2c completion --help'")
