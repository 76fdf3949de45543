"""How a real server is started and ended.

A server runs in the foreground in a folder of its own, as the user who runs the tests, or as nobody
where that is root: none of these servers is made to serve as root, and some refuse to.
"""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme

from tests.peers import peer
from tests.servers import site

PATIENCE = 90.0
NOBODY = 65534


@dataclass(frozen=True, slots=True)
class Server:
    """A server that runs.

    Attributes:
        clear: Origin of HTTP/2 in cleartext; it may speak HTTP/1.1 there, too.
        tls: Origin of HTTP/2 over TLS.
        http1: Origin of a cleartext port that knows HTTP/1.1 only, "" where there is none.
        http1_tls: The same over TLS.
        cafile: Roots that the certificate is verified with.
        root: Folder of the site.
    """

    clear: str
    tls: str
    http1: str
    http1_tls: str
    cafile: Path
    root: Path


class Folder:
    """Where a server lives: its site in `root`, its certificate, its configuration and its log."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.root = path / "root"
        self.cafile = path / "ca.pem"
        self.certfile = path / "leaf.pem"
        self.keyfile = path / "leaf-key.pem"
        self.log = path / "log"
        self.log.touch()
        self.root.mkdir()
        site.write(self.root)
        _issue(self)

    def write(self, name: str, text: str) -> Path:
        """Make a file, and return its path."""
        path = self.path / name
        path.write_text(text)
        return path

    def give_away(self) -> None:
        """Let the server's user read and write all of it."""
        if os.geteuid() == 0:
            for path in (self.path, *self.path.rglob("*")):
                os.chown(path, NOBODY, NOBODY)

    def server(self, clear: int, tls: int, http1: int = 0, http1_tls: int = 0) -> Server:
        """What a server on these ports is to a client."""
        return Server(
            f"http://127.0.0.1:{clear}",
            f"https://localhost:{tls}",
            f"http://127.0.0.1:{http1}" if http1 else "",
            f"https://localhost:{http1_tls}" if http1_tls else "",
            self.cafile,
            self.root,
        )


def _issue(folder: Folder) -> None:
    authority = trustme.CA()
    leaf = authority.issue_cert("localhost", "127.0.0.1")
    authority.cert_pem.write_to_path(folder.cafile)
    leaf.private_key_pem.write_to_path(folder.keyfile)
    for blob in leaf.cert_chain_pems:
        blob.write_to_path(folder.certfile, append=True)


@contextmanager
def folder() -> Iterator[Folder]:
    """A folder that goes with the block; below /tmp, since nobody may enter pytest's own."""
    with tempfile.TemporaryDirectory(prefix="server-", ignore_cleanup_errors=True) as path:
        yield Folder(Path(path))


@contextmanager
def process(
    place: Folder, program: str, arguments: Sequence[str], ports: Sequence[int]
) -> Iterator[None]:
    """Run a program until the block ends; it starts when all ports are listened on.

    Args:
        program: As `tests.peers.peer` knows it.
    """
    command = [peer(program), *arguments]
    place.give_away()
    drop = os.geteuid() == 0
    with place.log.open("ab") as log:
        running = subprocess.Popen(
            command,
            cwd=place.path,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
            user=NOBODY if drop else None,
            group=NOBODY if drop else None,
            extra_groups=[] if drop else None,
        )
    try:
        for port in ports:
            _await_listener(port, running, place)
        yield
    finally:
        running.terminate()
        try:
            running.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait(PATIENCE)


def _await_listener(port: int, running: subprocess.Popen[bytes], place: Folder) -> None:
    end = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            said = place.log.read_text(errors="replace")
            assert running.poll() is None, f"the server ended: {said}"
            assert time.monotonic() < end, f"the server does not listen: {said}"
            time.sleep(0.01)
        else:
            return
