"""A gigabyte through the real `h2c` command, to and from nginx, in bounded memory."""

from __future__ import annotations

import filecmp
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.h2c.room import COMMAND, Room
from tests.servers.conftest import Servers

GIGABYTE = 1024**3
MEBIBYTE = 1024**2
PATIENCE = 300.0

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2 * PATIENCE)]


def make(path: Path) -> None:
    """A gigabyte, mostly holes, with octets of its own in many places."""
    places = random.Random(1)
    with path.open("wb") as file:
        file.truncate(GIGABYTE)
        for _ in range(1000):
            file.seek(places.randrange(GIGABYTE - 100))
            file.write(places.randbytes(100))


def peak(pid: int) -> int:
    """Bytes of memory that a process had at most."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (size,) = (int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    return size * 1024


def run(room: Room, *arguments: str) -> int:
    """Run a command; returns the memory that it had at most."""
    # The system counts a process's parent in, so the parent has to be a small one.
    small = (
        "import resource, subprocess, sys; code = subprocess.call(sys.argv[1:]); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", small, *COMMAND, *arguments],
        env=room.environment,
        cwd=room.folder,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    return int(done.stdout) * 1024


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_gigabyte_comes_and_goes_in_less_than_50_mb(
    scheme: str, room: Room, servers: Servers
) -> None:
    server = servers("nginx")
    make(server.root / "gigabyte")
    origin = server.clear if scheme == "http" else server.tls
    room.ok("connect", *(["--cacert", str(server.cafile)] if scheme == "https" else []), origin)
    daemon = int(room.ok("pid"))

    getting = run(room, "get", "-o", "got", "/gigabyte")
    assert filecmp.cmp(room.folder / "got", server.root / "gigabyte", shallow=False)
    putting = run(room, "put", "--fail", "--file", "got", f"/stored/{scheme}")

    stored = server.root / "stored" / scheme
    assert filecmp.cmp(stored, room.folder / "got", shallow=False)
    stored.unlink()
    (room.folder / "got").unlink()
    assert getting < 50 * MEBIBYTE
    assert putting < 50 * MEBIBYTE
    assert peak(daemon) < 50 * MEBIBYTE
