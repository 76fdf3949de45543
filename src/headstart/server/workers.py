"""The processes of the server: one, or a parent that supervises several.

`Server` runs in each process that serves. `Supervisor` is the parent of `--workers N`: uvicorn's,
but its workers run our `Server`, and its end refuses new connections at once. Made by `run`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from multiprocessing import resource_tracker
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Final, Protocol

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import ChangeReload
from uvicorn.supervisors.basereload import BaseReload
from uvicorn.supervisors.multiprocess import Multiprocess, Process

from headstart.errors import ConfigurationError
from headstart.server.ending import LifespanEnd, ProcessEnd, longest_wait
from headstart.server.listening import inherited
from headstart.server.memory import keep_free_pages
from headstart.server.protocol import HeadstartProtocol
from headstart.server.redirect import redirect_socket, redirecting
from headstart.server.renewal import Renewal
from headstart.server.worker import Worker

if TYPE_CHECKING:
    from headstart.server.run import Config

logger = logging.getLogger("uvicorn.error")

# Seconds between two looks at signals and workers.
_TICK: Final = 0.1
_STARTING_SECONDS = 60.0

# How often uvicorn calls `on_tick`.
_TICKS_A_SECOND = 10


class Companion(Protocol):
    """Runs beside the server in each process that serves: the admin port's reporter."""

    async def begin(self, server: Server) -> None:
        """Begin, before the application's lifespan does."""

    async def end(self) -> None:
        """End, last of all."""


class Server(uvicorn.Server):
    """uvicorn's Server, with an end that leaves nobody and nothing behind.

    It raises the signal that ended it once more, so nothing behind `run` is sure to happen.
    """

    config: Config
    _end: ProcessEnd | None = None
    """Bounds the end of the process; None in a thread, whose process goes on."""
    _renewal: Renewal | None = None
    _redirecting: tuple[asyncio.Server, Config] | None = None
    """What listens for --redirect-http, and its configuration."""

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until a signal ends it.

        A worker that cannot start says so and exits with uvicorn's status for it, or its parent
        would start it again and again. After Ctrl-C the process has to end, also if threads or
        tasks of the application go on.
        """
        if threading.current_thread() is threading.main_thread():
            self._end = ProcessEnd()
        try:
            with self._ending():
                super().run(sockets)
        except Exception as error:
            if self.started or not self.config.use_subprocess:
                raise
            known = isinstance(error, ConfigurationError)
            logger.error("The worker cannot start: %s", error, exc_info=None if known else error)
            sys.exit(STARTUP_FAILURE)

    @contextmanager
    def _ending(self) -> Iterator[None]:
        """Leave the end bounded after Ctrl-C, which ends the process, and after nothing else."""
        try:
            yield
        except KeyboardInterrupt:
            raise
        except BaseException:
            self._stop_watching()
            raise
        self._stop_watching()

    def _stop_watching(self) -> None:
        if self._end is not None:
            self._end.stop()

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until a signal ends it; then bound the end of the process."""
        try:
            await super().serve(sockets)
        finally:
            if self._end is not None:
                self._end.is_last(longest_wait(self.config.timeout_graceful_shutdown))

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end; a second Ctrl-C leaves the application little time."""
        super().handle_exit(sig, frame)
        if self._end is None:
            return
        if self.force_exit:
            self._end.force()
        elif not self.started:
            # The application's start is waited for, too.
            self._end.begin(longest_wait(self.config.timeout_graceful_shutdown))

    async def on_tick(self, counter: int) -> bool:
        """Look once a second whether the certificate was renewed; see uvicorn for the rest."""
        if self._renewal is not None and counter % _TICKS_A_SECOND == 0:
            self._renewal.look()
        return await super().on_tick(counter)

    def _watch_certificate(self) -> None:
        config = self.config
        if config.tls is None or not config.ssl_certfile:
            return
        self._renewal = Renewal(
            config.tls, config.ssl_certfile, config.ssl_keyfile, config.ssl_keyfile_password
        )
        # The parent of workers takes SIGHUP itself. In a thread there are no signals.
        if not config.use_subprocess and threading.current_thread() is threading.main_thread():
            look = partial(self._renewal.look, always=True)
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, look)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, once there is a worker to count who comes."""
        keep_free_pages()
        self._watch_certificate()
        self.worker()
        if self.config.companion is not None:
            await self.config.companion.begin(self)
        redirects = bool(self.config.headstart.redirect_http)
        if sockets is None and self.config.fd is not None:
            handed_over = [inherited(self.config.fd)]
            await super().startup(handed_over)
            self._log_started_message(handed_over)
        else:
            await super().startup(sockets[:-1] if redirects and sockets else sockets)
        if redirects:
            await self._redirect(sockets)

    def worker(self) -> Worker:
        """Return the state that the connections of this process share; called on the event loop."""
        return Worker.of(self.server_state, self.config, asyncio.get_running_loop())

    async def _redirect(self, sockets: list[socket.socket] | None) -> None:
        """Listen for requests to redirect, on the last of the sockets if they are given."""
        listeners = [listener for server in self.servers for listener in server.sockets]
        config = redirecting(self.config, listeners)
        listener = sockets[-1] if sockets else redirect_socket(self.config)
        server = await asyncio.get_running_loop().create_server(
            partial(self._protocol, config), sock=listener, backlog=config.backlog
        )
        self._redirecting = (server, config)
        self.servers.append(server)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End; first take in who is waiting at the door, last remove a Unix socket of its own."""
        loop = asyncio.get_running_loop()
        self.worker().draining = True
        # After a reload, connections that wait in the parent's socket are for the new process.
        if not self.config.should_reload:
            await self._accept_the_rest(loop)
        seconds = self.config.timeout_graceful_shutdown
        self.lifespan = LifespanEnd(self.lifespan, seconds, lambda: self.force_exit)
        cutting_off = asyncio.create_task(self._cut_off_when_forced())
        await super().shutdown(sockets)
        cutting_off.cancel()
        await self._cut_off_the_rest()
        if self.config.companion is not None:
            await self.config.companion.end()
        if self.config.uds and not self.config.use_subprocess:
            # Which Python leaves behind before 3.13.
            Path(self.config.uds).unlink(missing_ok=True)

    async def _accept_the_rest(self, loop: asyncio.AbstractEventLoop) -> None:
        """Accept the kernel's connections, which would be reset with the listening socket."""
        listeners = [
            (socket.socket(fileno=os.dup(listener.fileno())), self._config_of(server))
            for server in self.servers
            for listener in server.sockets
        ]
        for server in self.servers:
            server.close()
        for listener, config in listeners:
            with listener:
                listener.setblocking(False)
                while (waiting := _accepted(listener)) is not None:
                    protocol = partial(self._protocol, config)
                    await loop.connect_accepted_socket(protocol, waiting)

    async def _cut_off_when_forced(self) -> None:
        """End the connections after a second Ctrl-C: asyncio's listener waits for their end."""
        while not self.force_exit:
            await asyncio.sleep(_TICK)
        await self._cut_off_the_rest()

    async def _cut_off_the_rest(self) -> None:
        """End the connections for which no time is left, before the event loop is closed."""
        connections: list[Any] = list(self.server_state.connections)
        for connection in connections:
            # Another implementation of WebSockets (--ws) has no `abort`, but a transport.
            abort = getattr(connection, "abort", None) or connection.transport.abort
            abort()
        if connections:
            await asyncio.sleep(_TICK)

    def _config_of(self, server: asyncio.Server) -> Config:
        redirecting = self._redirecting
        return (
            self.config if redirecting is None or redirecting[0] is not server else redirecting[1]
        )

    def _protocol(self, config: Config) -> HeadstartProtocol:
        return HeadstartProtocol(config, self.server_state, self.lifespan.state)

    def _log_started_message(self, listeners: Sequence[socket.SocketType]) -> None:
        # It asks `ssl` whether to say https.
        self.config.ssl = self.config.ssl or self.config.tls
        super()._log_started_message(listeners)


def _accepted(listener: socket.socket) -> socket.socket | None:
    try:
        return listener.accept()[0]
    except OSError:  # there is none, or there are no descriptors left for it
        return None


class WorkerProcess(Process):
    """One worker, as its parent sees it, with the code that runs in it."""

    config: Config

    def __init__(self, config: Config, sockets: list[socket.socket]) -> None:
        super().__init__(config, sockets)
        self._asked: float | None = None
        """When it was asked whether it is well; None when it has answered."""
        self._has_answered = False

    @property
    def server(self) -> uvicorn.Server:
        """The server that runs in the process."""
        if self._server is None:
            self._server = Server(self.config)
        return self._server

    def start(self) -> None:
        """Start it so that Ctrl-C while Python begins does not end it with a traceback.

        The terminal sends SIGINT to the parent and to its workers. The parent ends them by
        SIGTERM, so they need no SIGINT before they serve. It is blocked meanwhile, because the
        parent must not miss it.
        """
        resource_tracker.ensure_running()  # else it is begun now, and ends the blocking
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            super().start()
        finally:
            signal.signal(signal.SIGINT, handler)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])

    def target(self, sockets: list[socket.socket] | None = None) -> None:
        """Run in the new process: serve."""
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
        super().target(sockets)

    def is_well(self, now: float, timeout: float) -> bool:
        """Return whether it runs, and has answered in time when it was asked; ask it again."""
        if not self.process.is_alive():
            return False
        try:
            if self._asked is None:
                self._asked = now
                self.parent_conn.send(b"ping")
            elif self.parent_conn.poll():
                self.parent_conn.recv()
                self._asked = None
                self._has_answered = True
        except (OSError, EOFError):
            return False
        if not self._has_answered:
            timeout = starting_timeout(timeout)
        return self._asked is None or now - self._asked < timeout


def starting_timeout(timeout: float) -> float:
    """Return the seconds that a worker may take before its first answer.

    It imports its application first. On a busy machine that takes longer than the answer of a
    worker that runs, and a worker that is killed meanwhile only makes the machine busier.
    """
    return max(timeout, _STARTING_SECONDS)


def _interrupt(processes: Iterable[BaseProcess]) -> None:
    """Send SIGINT to those that have not ended: a terminal's Ctrl-C reaches workers at once."""
    for process in processes:
        # One that is_alive has not seen the end of keeps its number, also if it ends just now.
        if process.is_alive() and process.pid is not None:
            os.kill(process.pid, signal.SIGINT)


class Supervisor(Multiprocess):
    """The parent of the workers."""

    config: Config

    def __init__(self, config: Config, sockets: list[socket.socket]) -> None:
        super().__init__(config, sockets)
        self._failed = False
        """A worker could not start."""

    def run(self) -> None:
        """Keep the workers alive until a signal ends the server.

        Raises:
            SystemExit: A worker could not start, and neither could the next one.
        """
        logger.info("Started parent process [%d]", os.getpid())
        self.init_processes()
        while not self.should_exit.wait(_TICK):
            self.handle_signals()
            self.keep_subprocess_alive()
        # Workers accept what waits already. Clients that come later are refused, and can go to
        # another server.
        for listener in self.sockets:
            listener.close()
        self.terminate_all()
        self.join_all()
        logger.info("Stopping parent process [%d]", os.getpid())
        if self._failed:
            sys.exit(STARTUP_FAILURE)

    def join_all(self) -> None:
        """Wait for the workers, and hand on a second Ctrl-C, which may have come to us alone."""
        for each in self.processes:
            logger.info("Waiting for child process [%s]", each.pid)
        while alive := [each.process for each in self.processes if each.process.is_alive()]:
            alive[0].join(_TICK)
            while self.signal_queue:
                if self.signal_queue.pop(0) == signal.SIGINT:
                    _interrupt(alive)

    def init_processes(self) -> None:
        """Start the workers."""
        self.processes.extend(self._started() for _ in range(self.processes_num))

    def keep_subprocess_alive(self) -> None:
        """Replace workers that ended or do not answer; end where one cannot start."""
        for index, process in enumerate(self.processes):
            if self.should_exit.is_set():
                return
            assert isinstance(process, WorkerProcess)
            if process.is_well(time.monotonic(), self.config.timeout_worker_healthcheck):
                continue
            process.kill()
            process.join()
            if process.exitcode == STARTUP_FAILURE:
                logger.error("Worker [%s] failed to start, so the server stops.", process.pid)
                self._failed = True
                self.should_exit.set()
                return
            logger.info("Child process [%s] died", process.pid)
            self.processes[index] = self._started()

    def restart_all(self) -> None:
        """Replace each worker once its successor serves."""
        for index, old in enumerate(self.processes):
            new = self._started()
            if not self._serves(new):
                new.kill()
                new.join()
                if not self._is_ending():
                    logger.error(
                        "Worker [%s] was not ready in time. The old workers stay.", new.pid
                    )
                return
            old.terminate()
            old.join()
            self.processes[index] = new

    def handle_ttin(self) -> None:
        """Start one worker more."""
        logger.info("Received SIGTTIN, increasing the number of processes.")
        self.processes_num += 1
        self.processes.append(self._started())

    def _started(self) -> WorkerProcess:
        process = WorkerProcess(self.config, self.sockets)
        process.start()
        return process

    def _serves(self, process: WorkerProcess) -> bool:
        """Wait until the worker serves; return False when it ends, takes too long or we end."""
        deadline = time.monotonic() + starting_timeout(self.config.timeout_worker_healthcheck)
        while time.monotonic() < deadline and not self._is_ending():
            if not process.process.is_alive():
                return False
            if process.is_ready(timeout=_TICK):
                return True
            time.sleep(_TICK)
        return False

    def _is_ending(self) -> bool:
        return not {signal.SIGINT, signal.SIGTERM}.isdisjoint(self.signal_queue)


class Reloader(BaseReload):
    """The parent of the process that --reload replaces."""

    _is_forced = False
    """Ctrl-C has come a second time, maybe to us alone; the process is still to be told."""

    def signal_handler(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end."""
        self._is_forced = self.should_exit.is_set() and sig == signal.SIGINT
        super().signal_handler(sig, frame)

    def shutdown(self) -> None:
        """Wait for the process, and hand a second Ctrl-C on."""
        self.process.terminate()
        while self.process.is_alive():
            self.process.join(_TICK)
            if self._is_forced:
                self._is_forced = False
                _interrupt([self.process])
        super().shutdown()


def reloader(config: Config, server: Server, sockets: list[socket.socket]) -> BaseReload:
    """Return the parent of the process that --reload replaces."""
    # uvicorn names one of two classes, as packages are installed.
    kind: Any = type("InstalledReloader", (Reloader, ChangeReload), {})
    made: BaseReload = kind(config, target=server.run, sockets=sockets)
    return made
