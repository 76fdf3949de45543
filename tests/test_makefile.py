"""What the verbs of the Makefile call: a dry run says it, and changes nothing."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HERE = str(Path(__file__).relative_to(ROOT))


def called_by(*arguments: str) -> list[list[str]]:
    """The commands that make would call, as lists of words; whatever a make around it was told."""
    inherited = ("MAKEFLAGS", "MAKEOVERRIDES", "MFLAGS", "MAKELEVEL", "ARGS")
    said = subprocess.run(
        ["make", "--dry-run", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=90,
        check=True,
        env={name: value for name, value in os.environ.items() if name not in inherited},
    )
    return [shlex.split(line) for line in said.stdout.splitlines()]


def test_path_of_one_test_file_runs_that_file_alone() -> None:
    *_, (_, *arguments) = called_by("test", f"ARGS={HERE}")

    found = subprocess.run(
        [sys.executable, *arguments, "--no-cov", "--collect-only", "--quiet"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=90,
        check=True,
    )

    *names, _, _ = found.stdout.splitlines()
    assert names
    assert all(name.startswith(f"{HERE}::") for name in names)


def test_bytecode_is_kept_whatever_the_environment_says() -> None:
    said = subprocess.run(
        ["make", "--eval", "environment:; @env", "environment"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=90,
        check=True,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )

    assert "PATH=" in said.stdout
    assert "PYTHONDONTWRITEBYTECODE" not in said.stdout


def test_coverage_of_all_tests_is_measured() -> None:
    *_, arguments = called_by("test-all")

    assert "--cov=headstart" in arguments
    assert "--quick" not in arguments


def test_test_without_arguments_needs_no_peer() -> None:
    *_, arguments = called_by("test")

    assert "--quick" in arguments


@pytest.mark.parametrize(
    "verb",
    [
        "setup",
        "test",
        "test-all",
        "lint",
        "demo",
        "test-others",
        "fuzz",
        "mutants",
        "docs",
        "bench",
    ],
)
def test_no_verb_but_one_installs_packages_of_the_system(verb: str) -> None:
    programs = {words[0] for words in called_by(verb)}

    assert "tools/peers" not in programs
    for program in programs:
        script = ROOT / program
        if script.is_file() and script.parent.name == "tools":
            assert not {"apt-get", "tools/peers"} & set(script.read_text().split())


def test_peers_have_a_verb_of_their_own_which_ci_calls() -> None:
    assert called_by("peers", "ARGS=all") == [["tools/peers", "all"]]
    assert "\nrun make peers ARGS=all\n" in (ROOT / ".ci/run").read_text()
