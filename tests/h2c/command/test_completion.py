"""Completion, in the shells that it is for, each in a pseudo-terminal where it has one."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from headstart.h2c import options
from headstart.h2c.command import completion
from headstart.h2c.options.process import SHELLS
from tests.h2c.room import PATIENCE, Room
from tests.peers import peer

PROGRAMS: dict[str, tuple[str, ...]] = {
    "bash": ("bash", "--norc", "--noprofile", "-i"),
    "zsh": ("zsh", "-f", "-i"),
}
BEGIN = {
    "bash": "source h2c.bash",
    "zsh": "fpath=($PWD/functions $fpath); autoload -Uz compinit && compinit -u",
}


class Shell:
    """An interactive shell at the other end of a terminal."""

    def __init__(self, terminal: int) -> None:
        self._terminal = terminal
        self._seen = ""

    def type(self, keys: str) -> None:
        os.write(self._terminal, keys.encode())

    def until(self, pattern: str) -> str:
        """What it wrote since the last time, up to a pattern."""
        end = time.monotonic() + PATIENCE
        while (found := re.search(pattern, self._seen)) is None:
            left = end - time.monotonic()
            assert left > 0, self._seen
            assert select.select([self._terminal], [], [], left)[0], self._seen
            self._seen += os.read(self._terminal, 65536).decode(errors="replace")
        seen, self._seen = self._seen[: found.end()], self._seen[found.end() :]
        return seen


@contextmanager
def shell(program: tuple[str, ...], folder: Path) -> Iterator[Shell]:
    """A shell that waits for a command, and ends with the block."""
    ours, theirs = pty.openpty()
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "TERM": "dumb", "PS1": "$ "}
    process = subprocess.Popen(
        [peer(program[0]), *program[1:]],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=folder,
        env=environment,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        yield Shell(ours)
    finally:
        process.kill()
        process.wait(PATIENCE)
        os.close(ours)


@pytest.fixture
def scripts(tmp_path: Path, room: Room) -> Path:
    """A folder with the scripts, as the real command prints them, and a file."""
    for name in SHELLS:
        (tmp_path / f"h2c.{name}").write_text(room.ok("completion", name))
    (tmp_path / "functions").mkdir()
    (tmp_path / "functions" / "_h2c").write_text(room.ok("completion", "zsh"))
    (tmp_path / "picture.png").touch()
    assert not room.private.exists()  # no background process was needed
    return tmp_path


CASES = [
    ("h2c push-l", "h2c push-list"),
    ("h2c get --follow-h", "h2c get --follow-hints"),
    ("h2c load --water", "h2c load --waterfall"),
    ("h2c post --file pict", "h2c post --file picture.png"),
    ("h2c completion fi", "h2c completion fish"),
    ("h2c help unse", "h2c help unset"),
    ("h2c ping --sess", "h2c ping --session"),
]


@pytest.mark.parametrize("name", ["bash", "zsh"])
def test_the_shell_completes(name: str, scripts: Path) -> None:
    with shell(PROGRAMS[name], scripts) as running:
        running.type(f"{BEGIN[name]}; echo rea''dy\n")
        running.until("ready\r?\n")
        for typed, completed in CASES:
            # The line is taken as an argument of echo: what matters is what it became.
            running.type(f"{typed}\t")
            running.type("\x01echo '<\x05>'\n")
            said = running.until(r"\n<[^\r\n]*>")
            assert re.search(f"\n<{completed} ?>", said), (typed, said)


@pytest.mark.parametrize(("typed", "completed"), CASES)
def test_fish_completes(typed: str, completed: str, scripts: Path) -> None:
    done = subprocess.run(
        [peer("fish"), "--no-config", "-c", f"source h2c.fish; complete -C {typed!r}"],
        cwd=scripts,
        env={"PATH": os.environ["PATH"], "HOME": str(scripts)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )

    names = [line.partition("\t")[0] for line in done.stdout.splitlines()]
    assert names == [completed.rpartition(" ")[2]]


@pytest.mark.parametrize("name", SHELLS)
def test_every_command_and_option_is_there(name: str) -> None:
    script = completion.script(name)

    grammar = options.new_grammar()
    for verb, names in grammar.with_value.items():
        assert verb in script
        for option in names:
            if option.startswith("--"):
                assert option.removeprefix("--") in script
