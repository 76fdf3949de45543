"""The targets, without atheris: every seed is run, and what may be raised is held to."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuzzing.guided.__main__ import CORPUS, NAMES
from tests.fuzzing.guided.targets import TARGETS, Target

SEEDS = sorted(CORPUS.glob("*/*"))


@pytest.fixture(autouse=True)
def _log_again() -> Iterator[None]:
    yield
    logging.disable(logging.NOTSET)


def _raise(data: bytes) -> None:
    raise ValueError(data)


def test_the_command_knows_every_target() -> None:
    assert list(TARGETS) == list(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_target_has_seeds(name: str) -> None:
    assert [seed for seed in SEEDS if seed.parent.name == name]


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: f"{seed.parent.name}-{seed.name}")
def test_seed_finds_nothing(seed: Path) -> None:
    TARGETS[seed.parent.name](seed.read_bytes())


@pytest.mark.parametrize("name", NAMES)
def test_no_bytes_find_nothing(name: str) -> None:
    TARGETS[name](b"")


def test_what_is_allowed_is_no_finding() -> None:
    Target(_raise, (ValueError,))(b"")


def test_everything_else_is() -> None:
    with pytest.raises(ValueError, match="found"):
        Target(_raise, (TypeError,))(b"found")
