"""The package where httpx is not installed."""

from __future__ import annotations

import subprocess
import sys

from headstart.extras import install_command


def test_missing_httpx_is_told_with_its_remedy() -> None:
    program = "import sys; sys.modules['httpx'] = None; import headstart.httpx"

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert done.stderr.endswith(f"Install it: {install_command('httpx')}\n")
