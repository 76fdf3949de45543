"""How much memory there is, how much is used, and when that is too much."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

import pytest

from headstart.server import memory
from headstart.server.memory import (
    MemoryWatch,
    Pressure,
    available_memory,
    default_most,
    trim,
    used_memory,
)

MB = 1_000_000


def test_used_memory_is_what_the_kernel_says() -> None:
    before = used_memory()
    held = bytearray(os.urandom(64 * MB))
    grown = used_memory() - before

    assert len(held) == 64 * MB
    assert 60 * MB < grown < 80 * MB


def test_where_there_is_no_proc_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_STATM", Path("/nowhere"))

    assert used_memory() == 0


def test_pressure_comes_in_two_steps_and_goes_later_than_it_came() -> None:
    watch = MemoryWatch(800)
    used = [699, 700, 690, 660, 655, 800, 760, 750, 749, 656, 10]

    assert [watch.look(now) for now in used] == [
        Pressure.NONE,
        Pressure.REQUESTS,
        Pressure.REQUESTS,
        Pressure.REQUESTS,
        Pressure.NONE,
        Pressure.CONNECTIONS,
        Pressure.CONNECTIONS,
        Pressure.CONNECTIONS,
        Pressure.REQUESTS,
        Pressure.NONE,
        Pressure.NONE,
    ]


def test_memory_that_was_freed_goes_back_to_the_system() -> None:
    """What the watch waits for: malloc keeps small blocks otherwise."""
    before = used_memory()
    held = [b"x" * (100 + number % 400) for number in range(200_000)]
    del held
    trim()

    assert used_memory() - before < 20 * MB


def test_system_without_malloc_trim_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())

    trim()


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, None),
        ({"memory.max": "max"}, None),
        ({"memory.max": "1000000"}, 1_000_000),
        ({"a/b/memory.max": "3000000", "a/memory.max": "2000000"}, 2_000_000),
        ({"a/b/memory.max": "1000000", "a/memory.max": "2000000"}, 1_000_000),
        ({"memory/memory.limit_in_bytes": "500000"}, 500_000),
        ({"memory/memory.limit_in_bytes": "9223372036854771712"}, None),
    ],
)
def test_limit_of_the_control_group_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], expected: int | None
) -> None:
    for name, text in files.items():
        path = tmp_path / "groups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    own = tmp_path / "cgroup"
    own.write_text("1:name=systemd:/x\n0::/a/b\n")
    monkeypatch.setattr(memory, "_GROUPS", tmp_path / "groups")
    monkeypatch.setattr(memory, "_OWN_GROUP", own)
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")

    assert available_memory() == (expected or machine)


def test_machine_without_control_groups_has_its_own_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "_GROUPS", tmp_path)
    monkeypatch.setattr(memory, "_OWN_GROUP", tmp_path / "none")

    assert available_memory() == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def test_each_worker_has_its_part_of_four_fifths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_memory", lambda: 1000)

    assert [default_most(workers) for workers in (1, 4)] == [800, 200]
