"""Running the `headstart` command for its tests: as a process, or in this one."""

from __future__ import annotations

import os
import pty
import select
import termios
import threading
from typing import Self

from click.testing import CliRunner

from headstart import cli
from tests.server.live import environment
from tests.warm import Program

PATIENCE = 90.0


# Those that serve leave signal handlers and log settings behind.
_HERE = ("map", "replay", "cache")


def headstart_says(*arguments: str, **variables: str) -> tuple[int, str, str]:
    """Run the command to its end: exit status, standard output, standard error.

    A command that starts no server runs in this process, which saves the start of a Python.
    """
    if arguments and arguments[0] in _HERE:
        result = CliRunner().invoke(cli.main, arguments, prog_name="headstart", env=variables)
        if not isinstance(result.exception, SystemExit | None):
            raise result.exception
        return result.exit_code, result.stdout, result.stderr
    return headstart_process_says(*arguments, **variables)


def headstart_process_says(*arguments: str, **variables: str) -> tuple[int, str, str]:
    """Run the command in a process of its own, as `headstart_says` does it."""
    with _Piped() as output, _Piped() as errors:
        program = Program(
            "headstart.cli",
            arguments,
            output=output.end,
            errors=errors.end,
            environment=environment() | variables,
        )
        try:
            return program.wait(PATIENCE), output.read(), errors.read()
        finally:
            program.kill()


class _Piped:
    """A pipe, which a thread empties into a text."""

    def __init__(self) -> None:
        ours, self.end = os.pipe()
        self._file = os.fdopen(ours, encoding="utf-8")
        self._text = ""
        self._reader = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        self._reader.start()
        return self

    def __exit__(self, *_raised: object) -> None:
        self.read()
        self._file.close()

    def _read(self) -> None:
        self._text = self._file.read()

    def read(self) -> str:
        """Return all that was written, once every writer has ended."""
        if self.end >= 0:
            os.close(self.end)
            self.end = -1
        self._reader.join(PATIENCE)
        return self._text


def assert_one_line(said: tuple[int, str, str], *parts: str) -> None:
    status, out, err = said
    assert status == 1, err
    assert out == ""
    assert len(err.splitlines()) == 1, err
    assert err.startswith("Error: ")
    assert err.endswith(".\n")
    for part in parts:
        assert part in err


def said_in_process(*arguments: str) -> str:
    result = CliRunner().invoke(cli.main, arguments)
    assert result.exit_code == 0, result.output
    return result.output


def on_a_terminal(*arguments: str, columns: int = 80, **variables: str) -> tuple[int, str]:
    """Run the command on a terminal of so many columns: exit status, and what it shows."""
    ours, its = pty.openpty()
    termios.tcsetwinsize(its, (24, columns))
    given = {name: value for name, value in environment().items() if name != "COLUMNS"}
    process = Program(
        "headstart.cli",
        arguments,
        output=its,
        errors=its,
        environment=given | {"TERM": "xterm"} | variables,
    )
    os.close(its)
    try:
        shown = b"".join(iter(lambda: _read(ours), b""))
        return process.wait(PATIENCE), shown.decode().replace("\r\n", "\n")
    finally:
        process.kill()
        process.wait(PATIENCE)
        os.close(ours)


def _read(terminal: int) -> bytes:
    ready, _, _ = select.select([terminal], [], [], PATIENCE)
    assert ready, "it says nothing more"
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux, once nobody writes any more
        return b""
