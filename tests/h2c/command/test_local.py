"""Commands that need no background process, its start, and scripts for completion."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from headstart import __version__
from headstart.h2c import exits, options
from headstart.h2c.command import local
from headstart.h2c.daemon import process
from headstart.h2c.daemon.process import claim
from headstart.h2c.ipc import Place
from headstart.h2c.options.process import SHELLS, Start
from headstart.h2c.streams import Failed
from tests.h2c.room import PATIENCE, Room
from tests.peers import peer


def test_help_is_on_standard_output(capfd: pytest.CaptureFixture[str]) -> None:
    assert local.answer("default", ["--help"]) == exits.OK

    captured = capfd.readouterr()
    assert captured.out.startswith("usage: h2c")
    assert captured.err == ""


def test_a_mistake_is_one_line_on_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    assert local.answer("default", []) == exits.USAGE

    assert capfd.readouterr() == ("", "h2c: which command? 'h2c --help' lists them\n")


def test_the_version_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    assert local.answer("default", ["version"]) == exits.OK

    assert capfd.readouterr().out == f"h2c {__version__}\n"


def test_help_is_a_command_too(capfd: pytest.CaptureFixture[str]) -> None:
    assert local.answer("default", ["help", "get"]) == exits.OK

    assert capfd.readouterr().out.startswith("usage: h2c get")


def test_everything_else_takes_the_background_process() -> None:
    assert local.answer("default", ["post", "--data", "--help", "/"]) is None


def test_arguments_are_checked_before_anything_is_started() -> None:
    local.check(["get", "/"])
    with pytest.raises(Failed, match="h2c has no command 'x'") as caught:
        local.check(["x"])
    assert caught.value.code == exits.USAGE


def test_start_becomes_the_process_or_starts_one(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(room.runtime))
    done: list[object] = []

    def run(place: Place, command: Start) -> int:
        done.append((place.session, command.dump is not None))
        return exits.OK

    monkeypatch.setattr(process, "run", run)
    monkeypatch.setattr(local, "detached", lambda place, arguments: done.append(arguments))

    assert local.answer("one", ["start", "--dump"]) == exits.OK
    assert local.answer("one", ["start", "--detach", "--dump=x"]) == exits.OK
    assert done == [("one", True), ["--detach", "--dump=x"]]


Says = Callable[[str], None]


@pytest.fixture
def says(monkeypatch: pytest.MonkeyPatch) -> Says:
    """Has the next process that is started say this, and end."""

    def prepare(word: str) -> None:
        def start(program: list[str], **settings: Any) -> None:
            assert settings["start_new_session"]
            os.write(settings["pass_fds"][0], word.encode())

        monkeypatch.setattr(subprocess, "Popen", start)

    return prepare


def test_a_process_that_is_ready_is_connected_to(place: Place, says: Says) -> None:
    claimed = claim(place)
    says("ready")

    local.background(place).close()
    local.detached(place, [])
    claimed.release()


def test_where_another_command_was_quicker_its_process_is_used(place: Place, says: Says) -> None:
    claimed = claim(place)
    says("busy 12")

    local.background(place).close()
    claimed.release()


def test_start_is_told_that_there_is_one(place: Place, says: Says) -> None:
    says("busy 12")

    with pytest.raises(Failed, match=r"already \(pid 12\)"):
        local.detached(place, [])


@pytest.mark.parametrize(
    ("said", "told"), [("the disk is full", "the disk is full"), ("", "at once")]
)
def test_a_process_that_does_not_start_is_told(
    said: str, told: str, place: Place, says: Says
) -> None:
    says(said)

    with pytest.raises(Failed, match=rf"did not start: .*{told}; its log is") as caught:
        local.background(place)
    assert caught.value.code == exits.NOT_CONNECTED


def test_a_process_that_never_answers_is_given_up_on(
    place: Place, says: Says, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "PATIENCE", 0.05)
    says("ready")

    with pytest.raises(Failed, match="it does not answer"):
        local.background(place)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, partial(os.symlink, "elsewhere")])
def test_a_log_that_is_no_file_is_told(place: Place, make: Callable[[str], None]) -> None:
    make(place.log)

    with pytest.raises(Failed, match="its log cannot be written") as caught:
        local.background(place)

    assert caught.value.code == exits.NOT_CONNECTED
    assert not os.path.exists("elsewhere")


def test_the_log_is_for_this_user_alone(place: Place, says: Says) -> None:
    says("ready")

    local.detached(place, [])

    assert os.stat(place.log).st_mode & 0o777 == 0o600


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
        """Return its output since the last call, up to a pattern."""
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
    script = local.completion_script(name)

    grammar = options.new_grammar()
    for verb, names in grammar.with_value.items():
        assert verb in script
        for option in names:
            if option.startswith("--"):
                assert option.removeprefix("--") in script
