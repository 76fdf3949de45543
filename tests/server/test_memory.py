"""How much memory there is, how much is used, and when that is too much."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest

from headstart.server import memory
from headstart.server.memory import (
    MemoryWatch,
    Pressure,
    available_memory,
    default_most,
    keep_free_pages,
    trim,
    used_blocks,
    used_memory,
)
from tests.server.live import environment

MB = 1_000_000


def test_used_memory_is_what_the_kernel_says() -> None:
    before = used_memory()
    held = bytearray(os.urandom(64 * MB))
    grown = used_memory() - before

    assert len(held) == 64 * MB
    assert 60 * MB < grown < 80 * MB


def test_blocks_in_use_are_those_of_objects() -> None:
    before = used_blocks()
    held = [bytes(100) for _ in range(10_000)]

    assert used_blocks() - before >= len(held)


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


def test_blocks_that_were_freed_since_the_peak_are_not_taken() -> None:
    watch = MemoryWatch(800 * MB)

    assert watch.look(720 * MB, 5_000_000) is Pressure.REQUESTS
    assert watch.look(719 * MB, 4_200_000) is Pressure.REQUESTS
    assert watch.taken == 719 * MB - (51_200_000 - MB)
    assert watch.look(719 * MB, 3_000_000) is Pressure.NONE
    assert watch.look(719 * MB, 5_000_000) is Pressure.REQUESTS


def test_what_the_system_got_back_counts_once() -> None:
    watch = MemoryWatch(800 * MB)
    watch.look(720 * MB, 5_000_000)
    watch.look(600 * MB, 2_000_000)

    assert watch.taken == 600 * MB - (192 - 120) * MB
    assert watch.look(710 * MB, 2_000_000) is Pressure.NONE
    assert watch.taken == 710 * MB - (192 - 120) * MB


def test_above_the_peak_a_quarter_of_the_limit_may_be_free_at_most() -> None:
    watch = MemoryWatch(800 * MB)
    watch.look(600 * MB, 9_000_000)

    assert watch.look(601 * MB, 1) is Pressure.NONE
    assert 401 * MB <= watch.taken < 401 * MB + 64
    assert watch.look(801 * MB, 0) is Pressure.CONNECTIONS
    assert watch.taken >= 800 * MB


def test_growth_above_the_peak_shows_that_as_much_was_not_free() -> None:
    watch = MemoryWatch(800 * MB)
    watch.look(600 * MB, 3_000_000)

    watch.look(650 * MB, 2_000_000)

    assert 650 * MB - 14 * MB <= watch.taken < 650 * MB - 14 * MB + 64


def test_memory_that_is_free_is_not_forgotten_at_a_higher_peak() -> None:
    """Connections were cut off, and their blocks freed, while others grew: as it was measured."""
    watch = MemoryWatch(120 * MB)
    watch.look(126_300_000, 943_040)
    watch.look(130_300_000, 561_928)
    watch.look(128_600_000, 224_635)

    assert watch.look(110_000_000, 186_845) is Pressure.NONE


def test_freed_blocks_keep_resident_memory() -> None:
    """Why blocks are looked at: one in a thousand that is left keeps its arena."""
    script = Path(__file__).with_name("fragments.py")
    told = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, env=environment(), check=True
    )
    before, full, freed, taken, _ = map(int, told.stdout.split())

    assert full - before > 200 * MB
    assert freed > full - 50 * MB
    assert taken < freed - 50 * MB


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
    keep_free_pages()


# In a process of its own: how much free memory libc keeps is set for good.
KEEPING = """
import resource
from headstart.server.memory import keep_free_pages

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(100):
        parts = [bytes(64 * 1024) for _ in range(60)]
        del parts
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

before = faults()
keep_free_pages()
faults()
print(before, faults())
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="only glibc has mallopt")
def test_pages_that_are_free_are_used_again() -> None:
    told = subprocess.run(
        [sys.executable, "-c", KEEPING], capture_output=True, check=True, env=environment()
    )
    returned, kept = map(int, told.stdout.split())

    assert kept < 1000 < returned


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
