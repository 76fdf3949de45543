"""A user's terminal for tests: runs the real `h2c` command with a private folder of its own.

Makes a short folder below the one for temporary files (the path of a socket has a bound), and ends
every background process that was started in it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.warm import Piped, stand_in

_INSTALLED = Path(sys.executable).with_name("h2c")
COMMAND = (
    [str(_INSTALLED)]
    if _INSTALLED.exists()
    else [sys.executable, "-P", "-c", "from headstart.h2c.command import main; exit(main())"]
)
PATIENCE = 90.0


@dataclass(frozen=True, slots=True)
class Result:
    """What a command did."""

    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        """Standard output."""
        return self.out.decode()


class Room:
    """Runs commands; `folder` is where they are typed, `runtime` is $XDG_RUNTIME_DIR.

    Neither a command nor the background process that it starts need import anything first
    (`tests.warm`).

    Attributes:
        is_users: Set it, and the next commands start as a user's, with a Python of their own.
    """

    def __init__(self, folder: Path, runtime: Path) -> None:
        self.is_users = False
        self.folder = folder
        self.runtime = runtime
        self.private = runtime / "headstart"
        self.environment = {
            **os.environ,
            "XDG_RUNTIME_DIR": str(runtime),
            "COLUMNS": "100",
        }
        self._processes: list[Piped] = []

    def h2c(self, *arguments: str | bytes, stdin: bytes = b"") -> Result:
        """Run a command to its end."""
        if self.is_users:
            return self._users(arguments, stdin)
        process = self._begin(arguments, subprocess.PIPE, subprocess.PIPE, subprocess.PIPE)
        out, err = process.communicate(stdin, PATIENCE)
        process.close()
        return Result(process.wait(), out, err.decode())

    def _users(self, arguments: Sequence[str | bytes], stdin: bytes) -> Result:
        done = subprocess.run(
            [*COMMAND, *arguments],
            input=stdin,
            capture_output=True,
            cwd=self.folder,
            env=self.environment,
            timeout=PATIENCE,
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr.decode())

    def ok(self, *arguments: str | bytes, stdin: bytes = b"") -> str:
        """Run a command that must succeed and say nothing on standard error."""
        result = self.h2c(*arguments, stdin=stdin)
        assert (result.code, result.err) == (0, ""), result
        return result.text

    def begin(
        self,
        *arguments: str,
        stdin: int = subprocess.DEVNULL,
        stdout: int = subprocess.PIPE,
        stderr: int = subprocess.PIPE,
        environment: Mapping[str, str] | None = None,
    ) -> Piped:
        """Start a command that goes on until it is told to end.

        A terminal that is its standard input is that of its session, too.

        Args:
            environment: Another one than the room's.
        """
        process = self._begin(arguments, stdin, stdout, stderr, environment)
        self._processes.append(process)
        return process

    def _begin(
        self,
        arguments: Sequence[str | bytes],
        stdin: int,
        stdout: int,
        stderr: int,
        environment: Mapping[str, str] | None = None,
    ) -> Piped:
        return Piped(
            "tests.h2c.typed",
            [stand_in(), *map(os.fsdecode, arguments)],
            environment=self.environment if environment is None else environment,
            folder=self.folder,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            safe=True,
        )

    def start(self, *arguments: str) -> Piped:
        """The background process in the foreground, ready."""
        process = self.begin("start", *arguments)
        assert process.stderr is not None
        assert b"ready" in process.stderr.readline()
        return process

    def close(self) -> None:
        """End everything that runs."""
        for process in self._processes:
            process.kill()
            process.communicate(timeout=PATIENCE)
            process.close()
        for lock in self.private.glob("*.lock"):
            self.h2c("--session", lock.stem, "stop")


@contextmanager
def room(folder: Path) -> Iterator[Room]:
    """A room whose processes end with the block."""
    runtime = Path(tempfile.mkdtemp(prefix="h2c-"))
    made = Room(folder, runtime)
    try:
        yield made
    finally:
        made.close()
        shutil.rmtree(runtime)


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for something that happens in another process."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def interrupt(process: Piped) -> int:
    """Ctrl-C; returns the exit code."""
    process.send_signal(signal.SIGINT)
    return process.wait(PATIENCE)
