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
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.warm import stand_in

_INSTALLED = Path(sys.executable).with_name("h2c")
COMMAND = (
    [str(_INSTALLED)]
    if _INSTALLED.exists()
    else [sys.executable, "-P", "-c", "from headstart.h2c.command import main; exit(main())"]
)
# Starts the background process by a stand-in for Python.
_WARM = [
    sys.executable,
    "-P",
    "-c",
    "import sys; sys.executable = sys.argv.pop(1); from headstart.h2c.command import main; "
    "exit(main())",
]
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

    The background process that a command starts need not import everything first (`tests.warm`).

    Attributes:
        command: The command, for those that start it in another way. Set it to `COMMAND`, and the
            background process starts as a user's.
    """

    def __init__(self, folder: Path, runtime: Path) -> None:
        self.command: Sequence[str] = [*_WARM, stand_in()]
        self.folder = folder
        self.runtime = runtime
        self.private = runtime / "headstart"
        self.environment = {
            **os.environ,
            "XDG_RUNTIME_DIR": str(runtime),
            "COLUMNS": "100",
        }
        self._processes: list[subprocess.Popen[bytes]] = []

    def h2c(self, *arguments: str | bytes, stdin: bytes = b"") -> Result:
        """Run a command to its end."""
        done = subprocess.run(
            [*self.command, *arguments],
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
    ) -> subprocess.Popen[bytes]:
        """Start a command that goes on until it is told to end."""
        process = subprocess.Popen(
            [*self.command, *arguments],
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            cwd=self.folder,
            env=self.environment,
        )
        self._processes.append(process)
        return process

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """The background process in the foreground, ready."""
        process = self.begin("start", *arguments)
        assert process.stderr is not None
        assert b"ready" in process.stderr.readline()
        return process

    def close(self) -> None:
        """End everything that runs."""
        for process in self._processes:
            if process.poll() is None:
                process.kill()
            process.communicate(timeout=PATIENCE)
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


def interrupt(process: subprocess.Popen[bytes]) -> int:
    """Ctrl-C; returns the exit code."""
    process.send_signal(signal.SIGINT)
    return process.wait(PATIENCE)
