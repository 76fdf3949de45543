"""The start of the command: Ctrl-C before it has loaded."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.server.live import environment

# Stands for click, so that Ctrl-C comes while the command loads.
INTERRUPTED = "import os, signal; os.kill(os.getpid(), signal.SIGINT); print('loaded on')"


def started(folder: Path, before: str = "") -> subprocess.CompletedProcess[str]:
    variables = environment()
    variables["PYTHONPATH"] = os.pathsep.join([str(folder), variables["PYTHONPATH"]])
    return subprocess.run(
        ["sh", "-c", f'{before} exec "$0" -m headstart --version', sys.executable],
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )


def test_ctrl_c_while_the_command_loads_is_quiet(tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text(INTERRUPTED)

    done = started(tmp_path)

    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


def test_ctrl_c_that_the_shell_ignores_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text(INTERRUPTED)

    assert started(tmp_path, "trap '' INT;").stdout == "loaded on\n"


def test_command_is_called_headstart(tmp_path: Path) -> None:
    done = started(tmp_path)

    assert done.returncode == 0
    assert done.stdout.startswith("headstart, version ")
