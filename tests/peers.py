"""Real programs that the tests talk to: nghttp, curl, node, java and so on.

Reads PATH and REQUIRE_PEERS. A test calls `peer("nghttp")` and gets the program's path; where it is
not installed the test is skipped, or fails if REQUIRE_PEERS=1, as it is in CI. tests/conftest.py
counts the skipped ones at the end. With `--quick` no peer is used, and those tests are skipped. So
are those that start a server of several processes.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

SKIP_PREFIX = "peer "

left_out = False
"""With `--quick`: whoever asks for a peer is skipped, whether it is installed or not."""

# Debian keeps servers such as nghttpd where an ordinary user's PATH does not reach.
_SYSTEM_FOLDERS = ("/usr/sbin", "/sbin")


def find_peer(name: str) -> Path | None:
    """The path of the program `name`, or None where it is not installed."""
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), *_SYSTEM_FOLDERS))
    found = shutil.which(name, path=path)
    return Path(found) if found else None


def leave_to_all(what: str) -> None:
    """Skip the calling test with `--quick`: it needs what takes long."""
    if left_out:
        pytest.skip(f"{SKIP_PREFIX}{what} is for `make test-all`")


def peer(name: str) -> str:
    """The path of the program `name`; skips the calling test, or fails it, where there is none."""
    leave_to_all(name)
    found = find_peer(name)
    if found is None:
        lack(f"{name} is not installed")
    return str(found)


def lack(reason: str) -> NoReturn:
    """Skip the calling test, or fail it in CI: a peer is not there, or not in a version that can.

    Args:
        reason: Begins with the peer's name.
    """
    if os.environ.get("REQUIRE_PEERS") == "1":
        pytest.fail(f"{SKIP_PREFIX}{reason}, and REQUIRE_PEERS=1", pytrace=False)
    pytest.skip(SKIP_PREFIX + reason)
