"""The real server for tests: in a thread of this process, or in a process of its own.

Always on a real socket of 127.0.0.1 with a port that the system chose, and always ended with the
block that started it. The certificate is of the development CA in the test run's own data folder.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import uvicorn

from headstart import devca
from headstart.config import ServerOptions
from headstart.server.run import Config
from headstart.server.workers import Server
from tests.clock import SKIPPING, SkippingLoop
from tests.peers import leave_to_all
from tests.warm import Program

PATIENCE = 90.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.005, 3.0
SOURCES = Path(__file__).parents[2] / "src"
_RUNNING = re.compile(r"running on https?://[^\s]*:(\d+)")


@cache
def certificate() -> devca.DevCertificate:
    """A certificate for localhost, made once for the whole run."""
    return devca.ensure()


def until(
    condition: Callable[[], object], what: str = "the condition", *, seldom: bool = False
) -> None:
    """Wait until `condition` holds, asking every few milliseconds.

    If `seldom`, ask after ever longer pauses: for conditions that load a page and nothing else. A
    server to which a hundred such clients come takes all that are new for robots, and sends nothing
    any more.
    """
    deadline = time.monotonic() + PATIENCE
    pause = _FIRST_PAUSE
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come about in {PATIENCE} s"
        time.sleep(pause)
        if seldom:
            pause = min(2 * pause, _LONGEST_PAUSE)


class Gate:
    """What an application waits for and a test opens, from another thread."""

    def __init__(self) -> None:
        self._opened: concurrent.futures.Future[None] = concurrent.futures.Future()

    def open(self) -> None:
        """Let everybody through, now and later."""
        if not self._opened.done():
            self._opened.set_result(None)

    async def passed(self) -> None:
        """Wait until it is open."""
        await asyncio.shield(asyncio.wrap_future(self._opened))


class _PlainServer(uvicorn.Server):
    """uvicorn's own, in a thread."""

    loop: asyncio.AbstractEventLoop

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        self.loop = asyncio.get_running_loop()
        await super().serve(sockets)

    async def main_loop(self) -> None:
        # uvicorn's own looks ten times a second whether it should stop; tests have no time for it.
        while not await self.on_tick(0):
            await asyncio.sleep(0.01)


class _Server(_PlainServer, Server):
    """Ours, in a thread."""


class LiveServer:
    """A server in a thread.

    Attributes:
        port: Where it listens.
        server: Ours, or uvicorn's own where the configuration is.
        stopped: It was told to stop.
    """

    def __init__(self, config: uvicorn.Config, listener: socket.socket) -> None:
        self.port: int = listener.getsockname()[1]
        self.scheme = "https" if config.is_ssl else "http"
        ours = isinstance(config, Config)
        self.server = _Server(config) if ours else _PlainServer(config)
        self._thread = threading.Thread(target=self._run, args=[listener], daemon=True)
        self._thread.start()
        until(lambda: self.server.started or not self._thread.is_alive(), "the start")
        assert self.server.started

    def _run(self, listener: socket.socket) -> None:
        self.server.run([listener])

    @property
    def url(self) -> str:
        """Where it answers, without a path."""
        return f"{self.scheme}://localhost:{self.port}"

    def call(self, function: Callable[[], object]) -> None:
        """Call it in the server's thread."""
        self.server.loop.call_soon_threadsafe(function)

    def skip(self, seconds: float, steps: int = 8) -> None:
        """Let time pass, in steps, and whatever is due then happen; asks for `skipping`."""
        assert isinstance(self.server.loop, SkippingLoop)
        skipped = self.server.loop.skip(seconds, steps)
        asyncio.run_coroutine_threadsafe(skipped, self.server.loop).result(PATIENCE)

    def begin_to_stop(self) -> None:
        """What SIGTERM does."""
        self.server.should_exit = True

    def stop(self) -> None:
        """Stop as SIGTERM does, and wait until it has."""
        self.begin_to_stop()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "the server does not stop"

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._thread.is_alive()

    def kill(self) -> None:
        """Stop without waiting for what is under way."""
        self.server.force_exit = True
        self.stop()


@contextmanager
def running(
    app: Any,
    options: ServerOptions | None = None,
    *,
    tls: bool = False,
    skipping: bool = False,
    dual_stack: bool = False,
    **settings: Any,
) -> Iterator[LiveServer]:
    """Serve `app` in a thread.

    Args:
        options: Ours.
        tls: With the development certificate.
        skipping: On a loop whose time the test can `skip`.
        dual_stack: On one socket for IPv6 and IPv4.
        settings: uvicorn's.
    """
    if skipping:
        settings |= {"loop": SKIPPING}
    if dual_stack:
        listener = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    else:
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
    if tls:
        made = certificate()
        settings |= {"ssl_certfile": str(made.certfile), "ssl_keyfile": str(made.keyfile)}
    given = {"log_config": None, "timeout_graceful_shutdown": 1} | settings
    live = LiveServer(Config(app, options, **given), listener)
    try:
        yield live
    finally:
        if live.alive:
            live.kill()


class ServerProcess:
    """`headstart serve` (or `demo`) in a process of its own.

    Attributes:
        port: Where it listens, once it said so.
        log: What it wrote so far.
    """

    def __init__(
        self, *arguments: str, folder: Path | None = None, pass_fds: Sequence[int] = ()
    ) -> None:
        if "--workers" in arguments:
            leave_to_all("a server of several processes")
        ours, its = os.pipe()
        self._output = os.fdopen(ours, encoding="utf-8")
        self.process = _started(arguments, its, folder, pass_fds)
        os.close(its)
        self.port = 0
        self._lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self._output:
            self._lines.append(line)
            found = _RUNNING.search(line)
            if found and not self.port:
                self.port = int(found[1])

    @property
    def log(self) -> str:
        """What it wrote so far."""
        return "".join(self._lines)

    def wait_until_started(self) -> None:
        """Wait for the line that says where it listens, and until it does."""
        until(lambda: self._answers() or self.process.poll() is not None, "the start")
        assert self.process.poll() is None, self.log

    def _answers(self) -> bool:
        # With workers, or reload, the line comes before the first of them listens.
        with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", self.port)):
            return True
        return False

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.process.send_signal(signal.SIGTERM)

    def wait(self) -> int:
        """Wait for its end; returns the exit status."""
        status = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return status

    def end(self) -> None:
        """End it, and every process that it started, however it is."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        finally:
            self.process.wait(PATIENCE)
            self._reader.join(PATIENCE)
            self._output.close()


def _started(
    arguments: Sequence[str], output: int, folder: Path | None, pass_fds: Sequence[int]
) -> Program | subprocess.Popen[bytes]:
    if not {"--workers", "--reload"} & {*arguments}:
        return Program(
            "headstart.cli",
            arguments,
            output=output,
            errors=output,
            environment=environment(),
            folder=folder,
            pass_fds=pass_fds,
        )
    # One that starts others itself, which import everything anyway.
    return subprocess.Popen(
        [sys.executable, "-m", "headstart.cli", *arguments],
        stdout=output,
        stderr=output,
        cwd=folder,
        env=environment(),
        start_new_session=True,
        pass_fds=pass_fds,
    )


def environment() -> dict[str, str]:
    """For a process that imports this package and the tests."""
    paths = [str(SOURCES), str(SOURCES.parent)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1"}


@contextmanager
def serving(
    app: str, *arguments: str, folder: Path | None = None, open_files: int = 0
) -> Iterator[ServerProcess]:
    """Run `headstart serve app` with a port that the system chooses.

    Args:
        open_files: The limit of open files that it begins with; 0 for the one of this process.
    """
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    if open_files:
        resource.setrlimit(resource.RLIMIT_NOFILE, (open_files, limits[1]))
    try:
        server = ServerProcess("serve", app, "--port", "0", *arguments, folder=folder)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    try:
        server.wait_until_started()
        yield server
    finally:
        server.end()
