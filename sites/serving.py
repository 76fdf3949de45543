"""`headstart serve` as a process of its own, for one site, over TLS, with its log."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.cores import on
from sites.cores import CORES
from sites.site import Site
from sites.wordpress import wordpress

_ROOT = Path(__file__).parent.parent
_STARTED = "Application startup complete"
_START_SECONDS = 180.0
_REQUEST = re.compile(r'"GET (\S+) HTTP/2" (\d+)')


@dataclass
class Served:
    """A running server.

    Attributes:
        port: Where it listens, on 127.0.0.1.
    """

    port: int
    _log: Path
    _read: int = 0

    def requests(self) -> list[tuple[str, int]]:
        """Return the requests (target, status) that were logged since the last call."""
        text = self._log.read_text(errors="replace")
        fresh, self._read = text[self._read :], len(text)
        return [(target, int(status)) for target, status in _REQUEST.findall(fresh)]


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


@contextmanager
def built(site: Site, folder: Path) -> Iterator[list[str]]:
    """Make what is not made by the application itself; the command that serves the site."""
    if site.proxied:
        with wordpress(folder) as upstream:
            yield ["proxy", upstream]
    else:
        yield ["serve", f"sites.apps.{site.module}:app", *site.arguments]


@contextmanager
def served(
    command: list[str], folder: Path, certificate: Path, key: Path, *arguments: str
) -> Iterator[Served]:
    """Run a command of `built` until the block ends.

    Raises:
        RuntimeError: The server does not start; the message holds its log.
    """
    port = _free_port()
    log = folder.with_suffix(f".{port}.log")
    whole = [
        *(sys.executable, "-m", "headstart.cli", *command),
        *("--port", str(port), "--ssl-certfile", str(certificate), "--ssl-keyfile", str(key)),
        *arguments,
    ]
    environment = {**os.environ, "SITE": str(folder), "PYTHONUNBUFFERED": "1"}
    with log.open("w") as output, on(CORES.server):
        process = subprocess.Popen(
            whole, cwd=_ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        _wait(process, log)
        yield Served(port, log)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + _START_SECONDS
    while _STARTED not in log.read_text(errors="replace"):
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(
                f"headstart serve does not start:\n{log.read_text(errors='replace')}"
            )
        time.sleep(0.1)
