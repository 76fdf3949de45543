"""What the machine and the commit are."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from bench.machine import describe, processor, revision
from bench.servers import PEERS
from tests.bench.made import MACHINE


def test_processor_is_read_from_cpuinfo() -> None:
    assert processor("processor\t: 0\nmodel name\t: A processor\n") == "A processor"
    assert processor("") == ""


def test_this_machine_is_like_itself() -> None:
    described = describe([PEERS[0]], optimized=True)

    assert described.is_like(describe([], optimized=True))
    assert described.is_like(None)
    assert not described.is_like(describe([], optimized=False))
    assert described.memory > 0
    assert described.versions["headstart"].startswith("headstart ")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d, commit (\w+\+?)", described.stamp)


def test_builds_of_the_same_version_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    before = describe([], optimized=True)
    monkeypatch.setattr("platform.python_compiler", lambda: "another compiler")

    after = describe([], optimized=True)

    assert after.python.endswith("(another compiler)")
    assert not after.is_like(before)


def test_system_without_a_name_is_told_by_its_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    named = describe([], optimized=True).system

    def absent() -> dict[str, str]:
        raise OSError("no os-release")

    monkeypatch.setattr("platform.freedesktop_os_release", absent)

    assert describe([], optimized=True).system in named


def test_figures_of_another_machine_may_not_stand_beside() -> None:
    assert not replace(MACHINE, processor="another").is_like(MACHINE)
    assert not replace(MACHINE, cores=3).is_like(MACHINE)
    assert not replace(MACHINE, python="another").is_like(MACHINE)
    assert replace(MACHINE, load=9.0, versions={}).is_like(MACHINE)


def test_no_repository_is_no_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.machine._git", lambda *_: "")

    assert revision() == "unknown"


def test_no_git_is_no_commit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    assert revision() == "unknown"
