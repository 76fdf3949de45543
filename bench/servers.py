"""The servers that are compared: how each is started, waited for and stopped.

Each gets one worker, one core (`cores`), one event loop (uvloop where it can), the same
interpreter, no access log, the same response fields as far as it can, and else its own defaults.
Changes: processes of their own session on free loopback ports, and log files in the folder that it
is given. Called by `rounds`.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from shutil import which
from typing import Final

import headstart
from bench import processes
from bench.apps.content import ASSETS, BODIES, LONG, LONG_PARTS, UPLOAD
from bench.cores import CORES, on
from bench.scenarios import App

ROOT: Final = Path(__file__).resolve().parent.parent
BASELINE: Final = "headstart"
LEARNING: Final = "with learning"
FAST: Final = ("h2corn", "granian")
"""The fastest servers beside headstart."""

_UPLOAD: Final = "upload.bin"
_START_SECONDS: Final = 20.0
_STOP_SECONDS: Final = 5.0
# An access log has more for each request; tracebacks about connections that h2load cuts have less.
_LOG_ALLOWANCE: Final = 64 * 1024
_LOG_PER_REQUEST: Final = 20
# Settings that a server would take from the environment instead of the ones given here.
_FOREIGN_SETTINGS: Final = ("HEADSTART_", "H2CORN_", "GRANIAN_", "UVICORN_", "WEB_CONCURRENCY")


class ServerFailed(Exception):
    """A server cannot be measured; the message says why."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """PEM files; the key is PKCS #8, which is all that granian reads."""

    certfile: Path
    keyfile: Path


@dataclass(frozen=True, slots=True)
class Site:
    """What one running server serves.

    Attributes:
        app: Ignored by nghttpd, which serves `files`.
        certificate: None for cleartext.
        files: A folder with the bodies of `apps.content`, and what is uploaded.
    """

    app: App
    certificate: Certificate | None
    files: Path


Command = Callable[[Site, int], list[str]]
"""Site and port -> command line."""


@dataclass(frozen=True, slots=True)
class Peer:
    """One server of the comparison.

    Attributes:
        name: Column of the table.
        packages: Distributions whose versions are shown; the first one is the server.
        command: How to start it.
        has_push: Whether it can push at all; what cannot is not asked to.
    """

    name: str
    packages: tuple[str, ...]
    command: Command
    has_push: bool = False

    @property
    def is_asgi(self) -> bool:
        """Whether it runs the application; nghttpd, the limit, serves files."""
        return bool(self.packages)


def _python(*words: str) -> list[str]:
    return [sys.executable, "-m", *words]


def _tls(site: Site, certfile: str, keyfile: str) -> list[str]:
    if site.certificate is None:
        return []
    return [certfile, str(site.certificate.certfile), keyfile, str(site.certificate.keyfile)]


def _headstart(site: Site, port: int) -> list[str]:
    # The server alone, as the others: what it learns is measured in a column of its own.
    return [*headstart_command(site, port, "serve", site.app), "--no-learn"]


def _headstart_learning(site: Site, port: int) -> list[str]:
    store = site.files.parent / f"learned-{port}.sqlite"
    return [*headstart_command(site, port, "serve", site.app), "--learn", "--store", str(store)]


def headstart_command(site: Site, port: int, *what: str) -> list[str]:
    """Return the command line of `headstart` with one worker, but for what it learns.

    Args:
        what: Its command, and the application or the upstream.
    """
    tls = _tls(site, "--ssl-certfile", "--ssl-keyfile")
    quiet = ["--no-access-log", "--log-level", "warning"]
    where = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1", "--loop", "uvloop"]
    # h2load does not connect again after a GOAWAY, it gives up.
    for_ever = ["--max-requests", str(2**31 - 1)]
    return [*_python("headstart.cli"), *what, *where, *quiet, *for_ever, *tls]


def _uvicorn(site: Site, port: int) -> list[str]:
    tls = _tls(site, "--ssl-certfile", "--ssl-keyfile")
    quiet = ["--no-access-log", "--log-level", "warning"]
    where = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1", "--loop", "uvloop"]
    return [*_python("uvicorn", "--http", "zttp", "--http2"), *where, *quiet, *tls, site.app]


def _h2corn(site: Site, port: int) -> list[str]:
    # One loop for the application; its Rust runtime keeps its default of two threads. Only it sends
    # no Server field unless told to.
    where = ["--bind", f"127.0.0.1:{port}", "--workers", "1", "--loop", "uvloop"]
    tls = _tls(site, "--certfile", "--keyfile")
    return [*_python("h2corn"), *where, "--no-access-log", "--server-header", "on", *tls, site.app]


def _granian(site: Site, port: int) -> list[str]:
    where = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1", "--loop", "uvloop"]
    kind = ["--interface", "asgi", "--http", "2", "--no-ws"]
    quiet = ["--no-access-log", "--log-level", "warning"]
    tls = _tls(site, "--ssl-certificate", "--ssl-keyfile")
    return [*_python("granian"), *kind, *where, *quiet, *tls, site.app]


def _hypercorn(site: Site, port: int) -> list[str]:
    # Without --access-logfile it has no access log.
    where = ["--bind", f"127.0.0.1:{port}", "--workers", "1", "--worker-class", "uvloop"]
    tls = _tls(site, "--certfile", "--keyfile")
    return [*_python("hypercorn"), *where, "--log-level", "WARNING", *tls, site.app]


def _nghttpd(site: Site, port: int) -> list[str]:
    where = ["--address", "127.0.0.1", "--htdocs", str(site.files), "--workers", "1"]
    push = f"--push=/page={','.join(ASSETS)}"
    command = ["nghttpd", *where, push]
    if site.certificate is None:
        return [*command, "--no-tls", str(port)]
    return [*command, str(port), str(site.certificate.keyfile), str(site.certificate.certfile)]


PEERS: Final = (
    Peer(BASELINE, ("headstart", "ngh2", "uvicorn", "uvloop"), _headstart, has_push=True),
    Peer(LEARNING, ("headstart",), _headstart_learning, has_push=True),
    Peer("h2corn", ("h2corn",), _h2corn),
    Peer("granian", ("granian",), _granian),
    Peer("uvicorn", ("uvicorn", "zttp"), _uvicorn),
    Peer("hypercorn", ("hypercorn", "h2"), _hypercorn, has_push=True),
    Peer("nghttpd", (), _nghttpd, has_push=True),
)


def _uvicorn_http1(site: Site, port: int) -> list[str]:
    tls = _tls(site, "--ssl-certfile", "--ssl-keyfile")
    quiet = ["--no-access-log", "--log-level", "warning"]
    where = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1", "--loop", "uvloop"]
    return [*_python("uvicorn", "--http", "httptools"), *where, *quiet, *tls, site.app]


def _go(site: Site, port: int) -> list[str]:
    if which("go") is None:
        raise ServerFailed("go is not installed")
    if site.certificate is None:
        raise ServerFailed("it speaks HTTP/2 over TLS only")
    program = site.files.parent / "go_server"
    source = ROOT / "bench/apps/go_server.go"
    build = ["go", "build", "-o", str(program), str(source)]
    built = subprocess.run(
        build,
        env=os.environ | {"GOTOOLCHAIN": "local", "GOFLAGS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    if built.returncode:
        raise ServerFailed(f"go build: {built.stderr.strip()}")
    return [str(program), f"127.0.0.1:{port}", *_tls(site, "-cert", "-key")]


GO: Final = Peer("Go", (), _go)
"""The server of Go's standard library, which reads uploads."""
HTTP1_PEERS: Final = (PEERS[0], Peer("uvicorn", ("uvicorn",), _uvicorn_http1))
"""The servers compared over HTTP/1.1: headstart, and uvicorn, which checks less."""


def with_workers(peer: Peer, count: int) -> Peer:
    """Return the server with so many worker processes, or threads."""

    def command(site: Site, port: int) -> list[str]:
        words = peer.command(site, port)
        at = words.index("--workers") + 1
        return [*words[:at], str(count), *words[at + 1 :]]

    return replace(peer, command=command)


def peer_version(peer: Peer) -> str:
    """Names and versions, as they are installed; a program says its own."""
    if not peer.is_asgi:
        return program_version(peer.name)
    return ", ".join(f"{name} {package_version(name)}" for name in peer.packages)


def package_version(name: str) -> str:
    """An installed distribution's version."""
    if name == BASELINE:
        return headstart.__version__  # this very checkout's
    try:
        return version(name)
    except PackageNotFoundError:
        return "(not installed)"


def program_version(name: str) -> str:
    """What a program answers to --version."""
    program = name.lower()
    if which(program) is None:
        return f"{name} (not installed)"
    option = {"nginx": "-v", "go": "version"}.get(program, "--version")
    said = subprocess.run(
        [program, option], capture_output=True, text=True, timeout=10, check=False
    )
    return (said.stdout or said.stderr).strip()


def write_files(folder: Path) -> None:
    """Put what the applications answer into files, for nghttpd."""
    for path, body in BODIES.items():
        file = folder / (path[1:] or "index.html")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(body)
    (folder / _UPLOAD).write_bytes(UPLOAD)
    _make_hole(folder / LONG[1:], LONG_PARTS * len(UPLOAD))


def _make_hole(file: Path, size: int) -> None:
    """Make a file of zeros, which takes no room."""
    with file.open("wb") as hole:
        hole.truncate(size)


def free_port() -> int:
    """A TCP port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class RunningServer:
    """A server's process, from its start to its end. A context manager; stops at its end.

    Args:
        peer: Which server.
        site: What it serves.
        log: File for what it writes.
        cores: Where it runs.

    Attributes:
        port: Where it listens, on 127.0.0.1.
        upload: File to send to it.
        served: Requests that it has answered, kept by the caller for `check`.

    Raises:
        ServerFailed: It is not installed, ended, or does not listen in time.
    """

    def __init__(
        self, peer: Peer, site: Site, log: Path, cores: frozenset[int] = CORES.server
    ) -> None:
        self.upload = site.files / _UPLOAD
        self._peer = peer
        self._site = site
        self._log = log
        self._cores = cores
        self._start()

    def _start(self) -> None:
        self.port = free_port()
        self.served = 0
        command = self._peer.command(self._site, self.port)
        if which(command[0]) is None:
            raise ServerFailed(f"{command[0]} is not installed")
        with self._log.open("wb") as output, on(self._cores):
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # Ctrl-C reaches us alone, and a server is stopped with its workers.
                start_new_session=True,
            )

    def __enter__(self) -> RunningServer:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def restart(self) -> None:
        """End it, start it anew on another port, and return once it accepts a connection.

        Raises:
            ServerFailed: It ended, or does not listen in time.
        """
        self.stop()
        self._start()
        self.wait_until_up()

    def wait_until_up(self) -> None:
        """Return once it accepts a connection.

        Raises:
            ServerFailed: It ended, or does not listen in time.
        """
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            self.check()
            if self._accepts():
                return self.check()
            time.sleep(0.05)
        raise ServerFailed(f"did not listen within {_START_SECONDS:.0f} s: {self.last_words()}")

    def _accepts(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1.0):
            return True
        return False

    def check(self) -> None:
        """Raise ServerFailed if it has ended, or logs as much as an access log would."""
        status = self._process.poll()
        if status is not None:
            raise ServerFailed(f"ended with status {status}: {self.last_words()}")
        size = self._log.stat().st_size
        if size > _LOG_ALLOWANCE + _LOG_PER_REQUEST * self.served:
            raise ServerFailed(
                f"logged {size // 1024} KB, as an access log would: {self.last_words()}"
            )

    def file_of(self, size: int) -> Path:
        """Return a file of so many bytes to send to it."""
        file = self._site.files / f"{size}.bin"
        if not file.exists():
            _make_hole(file, size)
        return file

    def processor_seconds(self) -> float:
        """Processor time that it and its workers have used so far."""
        return processes.processor_seconds(self._process.pid)

    def resident_bytes(self) -> int:
        """Memory that it and its workers have now."""
        return processes.resident_bytes(self._process.pid)

    def last_words(self) -> str:
        """The last line that it wrote."""
        with self._log.open("rb") as file:
            file.seek(max(0, self._log.stat().st_size - 4096))
            lines = file.read().decode(errors="replace").split("\n")
        spoken = [re.sub(r"\x1b\[[0-9;]*m", "", line).strip() for line in lines]
        return next((line for line in reversed(spoken) if line), "(it wrote nothing)")

    def stop(self) -> None:
        """End it and its workers: asked first, then killed."""
        try:
            if self._process.poll() is None:
                self._signal(signal.SIGTERM)
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(_STOP_SECONDS)
        finally:
            # Also after a second Ctrl-C; workers that outlived their parent are in its group still.
            self._signal(signal.SIGKILL)
            self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)


def _environment() -> dict[str, str]:
    kept = {n: v for n, v in os.environ.items() if not n.upper().startswith(_FOREIGN_SETTINGS)}
    path = [str(ROOT), kept.get("PYTHONPATH", "")]
    kept["PYTHONPATH"] = os.pathsep.join(filter(None, path))
    return kept
