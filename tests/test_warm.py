"""Programs that are forked from a process that has imported everything."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest

from tests import warm
from tests.server.live import PATIENCE, environment
from tests.warm import Piped, Program

# Runs tests, as pytest does: starts a program, which says its id, and waits for it.
_RUN = """
import os, sys
from pathlib import Path
from tests.warm import Program, _parent
program = Program(
    "program", [], output=1, errors=2, environment=dict(os.environ), folder=Path(sys.argv[1])
)
os.write(1, f"{Path(_parent()).parent}\\n".encode())
program.wait()
"""
# A line is one call: both write to the same pipe.
_LONG = """
import os, time
os.write(1, f"{os.getpid()} {os.getppid()}\\n".encode())
time.sleep(1000)
"""


def started(
    folder: Path, output: IO[Any], errors: IO[Any], *arguments: str, **variables: str
) -> Program:
    """Start the folder's program."""
    return Program(
        "program",
        arguments,
        output=output.fileno(),
        errors=errors.fileno(),
        environment=environment() | variables,
        folder=folder,
    )


def ran(folder: Path, text: str, *arguments: str, **variables: str) -> tuple[int, str, str]:
    """Run the text as a program to its end; return its status, its output and its errors."""
    (folder / "program.py").write_text(text)
    with (folder / "output").open("w+") as output, (folder / "errors").open("w+") as errors:
        program = started(folder, output, errors, *arguments, **variables)
        status = program.wait(PATIENCE)
        # The position is the program's too.
        for each in (output, errors):
            each.seek(0)
        return status, output.read(), errors.read()


@dataclass
class Run:
    """A process that runs tests, one of which waits for a program that does not end.

    Attributes:
        process: The process.
        folder: That of its programs' parent.
        parent, program: The ids of both.
    """

    process: subprocess.Popen[str]
    folder: Path
    parent: int
    program: int


@contextmanager
def begun(folder: Path) -> Iterator[Run]:
    """Start such a process."""
    (folder / "program.py").write_text(_LONG)
    process = subprocess.Popen(
        [sys.executable, "-c", _RUN, str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
        text=True,
    )
    assert process.stdout is not None
    with process:
        try:
            used, ids = sorted(process.stdout.readline().strip() for _ in range(2))
            program, parent = map(int, ids.split())
            yield Run(process, Path(used), parent, program)
        finally:
            process.kill()


def test_program_has_arguments_streams_folder_and_environment_of_its_own(tmp_path: Path) -> None:
    text = """
import os, sys
print(*sys.argv[1:], os.getcwd(), os.environ["GIVEN"], "TAKEN" in os.environ)
print(repr(sys.stdin.read()), os.getsid(0) == os.getpid(), file=sys.stderr)
"""

    said = ran(tmp_path, text, "a", "b c", GIVEN="1")

    assert said == (0, f"a b c {tmp_path} 1 False\n", "'' True\n")


@pytest.mark.parametrize(
    ("text", "status", "error"),
    [
        ("", 0, ""),
        ("raise SystemExit(3)", 3, ""),
        ("raise SystemExit('no')", 1, "no\n"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM, ""),
        ("import atexit, sys; atexit.register(sys.stderr.write, 'end')", 0, "end"),
        ("import threading, time; threading.Thread(target=time.sleep, args=[0.1]).start()", 0, ""),
    ],
)
def test_program_ends_as_one_that_was_started_by_itself(
    tmp_path: Path, text: str, status: int, error: str
) -> None:
    assert ran(tmp_path, text) == (status, "", error)


def test_error_that_a_program_does_not_catch_is_shown(tmp_path: Path) -> None:
    status, _, error = ran(tmp_path, "1 / 0")

    assert status == 1
    assert error.endswith("ZeroDivisionError: division by zero\n")


def test_coroutine_that_nobody_awaited_is_told_at_the_end(tmp_path: Path) -> None:
    text = "async def forgotten(): pass\nkept = [forgotten()]; kept.append(kept)\n"

    status, _, error = ran(tmp_path, text)

    assert status == 0
    assert "coroutine 'forgotten' was never awaited" in error


def test_program_that_cannot_write_its_last_output_fails(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(
        "import sys; sys.stdout = open(1, 'w', closefd=False); print('much', end='')"
    )
    with open("/dev/full", "wb") as full, (tmp_path / "errors").open("wb") as errors:
        program = started(tmp_path, full, errors)

        assert program.wait(PATIENCE) == 120  # as Python says it

    assert "No space left on device" in (tmp_path / "errors").read_text()


def piped(folder: Path, text: str, stdin: int = subprocess.PIPE) -> Piped:
    """Start the text as a program with pipes."""
    (folder / "program.py").write_text(text)
    return Piped("program", [], environment=environment(), folder=folder, stdin=stdin)


def test_pipes_carry_more_than_they_hold_both_ways(tmp_path: Path) -> None:
    text = "import sys; data = sys.stdin.buffer.read(); sys.stdout.buffer.write(data * 2)"
    sent = os.urandom(1_000_000)
    program = piped(tmp_path, text)

    assert program.communicate(sent, PATIENCE) == (sent * 2, b"")
    program.close()


def test_program_that_reads_nothing_is_waited_for(tmp_path: Path) -> None:
    program = piped(tmp_path, "import sys; sys.stderr.write('enough')")

    assert program.communicate(bytes(1_000_000), PATIENCE) == (b"", b"enough")
    program.close()


def test_program_that_does_not_end_in_time_is_ended(tmp_path: Path) -> None:
    program = piped(tmp_path, _LONG, subprocess.DEVNULL)

    with pytest.raises(subprocess.TimeoutExpired):
        program.communicate(timeout=0.01)

    assert program.wait() == -signal.SIGKILL
    program.close()


@pytest.mark.parametrize("sent", [b"", b"\0", b"\0\0\0\x09{}"])
def test_request_that_breaks_off_is_no_program(tmp_path: Path, sent: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(warm._parent())
        client.sendall(sent)

    assert ran(tmp_path, "print(1)") == (0, "1\n", "")


def test_many_programs_run_at_once(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("import sys; raise SystemExit(int(sys.argv[1]))")
    with open(os.devnull, "w") as nothing:
        programs = [started(tmp_path, nothing, nothing, str(number)) for number in range(30)]

        assert [program.wait(PATIENCE) for program in programs] == list(range(30))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_nothing_is_left_of_a_run_that_is_ended(tmp_path: Path, number: int) -> None:
    with begun(tmp_path) as run:
        run.process.send_signal(number)
        run.process.communicate(timeout=PATIENCE)  # until no process is left that could write

    assert run.process.returncode == -number
    assert not run.folder.exists()


def test_run_whose_programs_parent_is_killed_says_so(tmp_path: Path) -> None:
    with begun(tmp_path) as run:
        os.kill(run.parent, signal.SIGKILL)
        os.kill(run.program, signal.SIGKILL)
        _, errors = run.process.communicate(timeout=PATIENCE)

    assert errors.endswith(
        "RuntimeError: the parent of the tests' programs has ended, or could not fork\n"
    )


def test_program_leads_a_group_of_its_own_as_soon_as_it_is_known(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(_LONG)
    with open(os.devnull, "wb") as nothing:
        for _ in range(30):
            program = started(tmp_path, nothing, nothing)
            os.killpg(program.pid, signal.SIGKILL)

            assert program.wait(PATIENCE) == -signal.SIGKILL
