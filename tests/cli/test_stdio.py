"""Standard streams that are full or closed: one line, or nothing, and never a traceback."""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.cli.command import PATIENCE, headstart_says
from tests.server.live import environment
from tests.warm import Piped

LOG = Path(__file__).parents[2] / "docs" / "examples" / "access.log"
HEADSTART = f"{sys.executable} -m headstart.cli"


def shell(command: str, folder: Path) -> tuple[int, str]:
    """Run a command line whose `headstart` is ours: exit status, standard error."""
    done = subprocess.run(
        ["sh", "-c", command.replace("headstart ", f"{HEADSTART} ", 1)],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        timeout=PATIENCE,
        check=False,
        env=environment(),
    )
    return done.returncode, done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("stdio")
    status, _, err = headstart_says("replay", str(LOG), "--save", str(made / "s.sqlite3"))
    assert (status, err) == (0, "")
    return made


COMMANDS = [
    "map --store s.sqlite3",
    "map --store s.sqlite3 --json",
    "map --store s.sqlite3 export",
    f"replay {LOG}",
    f"replay {LOG} --json",
    "--help",
    "serve --help",
    "--version",
]


SERVE = ["serve", "tests.server.apps:hello", "--port", "0", "--no-learn"]


@pytest.mark.parametrize("command", COMMANDS)
def test_full_standard_output_is_one_line(command: str, folder: Path) -> None:
    with open("/dev/full", "wb") as full:
        process = Piped(
            "headstart.cli",
            command.split(),
            environment=environment(),
            folder=folder,
            stdout=full.fileno(),
        )
    _, err = process.communicate(timeout=PATIENCE)
    process.close()

    assert process.wait() == 1
    assert err.decode() == (
        "Error: standard output cannot be written: No space left on device. "
        "Free space there, or send the output elsewhere.\n"
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_closed_standard_output_is_as_the_null_device(command: str, folder: Path) -> None:
    assert shell(f"headstart {command} >&-", folder) == (0, "")


def test_all_standard_streams_may_be_closed(folder: Path) -> None:
    assert shell("headstart map --store s.sqlite3 <&- >&- 2>&-", folder) == (0, "")
    assert shell("headstart replay nowhere.log <&- >&- 2>&-", folder) == (1, "")


def test_reader_that_has_gone_is_no_mistake(folder: Path) -> None:
    _, err = shell("headstart map --store s.sqlite3 | true", folder)

    assert err == ""


def test_server_whose_standard_output_is_full_serves_and_is_silent_about_it() -> None:
    with (
        open("/dev/full", "w") as full,
        subprocess.Popen(
            [sys.executable, "-m", "headstart.cli", *SERVE],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
        ) as server,
    ):
        assert server.stderr is not None
        try:
            line = next(line for line in server.stderr if "running on" in line)
            with urllib.request.urlopen(line.split()[-5], timeout=PATIENCE) as response:
                assert response.status == 200
        finally:
            server.terminate()
        rest = server.stderr.read()
    assert "Traceback" not in rest
    assert "Logging error" not in rest
