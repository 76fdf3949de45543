"""The background process: its life from the lock to the last GOAWAY.

A session has one background process. The holder of the lock file's lock owns the socket's path: it
alone removes a stale socket and listens. The kernel lets go of the lock when the process ends,
however it ends, so no lock is ever stale; the file itself stays.

Listens on the private socket, answers each command in a task of its own, and ends on Ctrl-C,
SIGTERM, `h2c stop`, or when nothing has used it for the idle time-out. Run by `command.local` in
the foreground, and started there as a program of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import TextIO

from headstart.errors import HeadstartError
from headstart.h2c import exits, ipc, keylog, options, streams
from headstart.h2c.daemon.conversation import Conversation
from headstart.h2c.daemon.service import Service
from headstart.h2c.daemon.session import Session
from headstart.h2c.dump.tap import Dump
from headstart.h2c.ipc import Place, PlaceError
from headstart.h2c.options.process import Start

_LOG = logging.getLogger(__name__)

# `stop`, and at once `start`: the old process needs a moment to end.
_PATIENCE = 0.3

# What a command that is told that everything ends may take to say so.
_FAREWELL = 2.0
_BACKLOG = 100


class BusyError(HeadstartError):
    """There is a background process already.

    Attributes:
        pid: Its process id, "" where it is not known yet.
    """

    def __init__(self, pid: str) -> None:
        super().__init__(exits.ALREADY_RUNNING.format(pid or "starting"))
        self.pid = pid


class Claim:
    """The lock of one place, held, and its socket, listening."""

    __slots__ = ("_lock", "_place", "listener")

    def __init__(self, place: Place, lock: int, listener: socket.socket) -> None:
        self._place = place
        self._lock = lock
        self.listener = listener

    def release(self) -> None:
        """Stop listening, remove the socket, and let go of the lock; once is enough."""
        if self._lock < 0:
            return
        self.listener.close()
        if self._is_ours():
            _remove(self._place.socket)
        os.close(self._lock)
        self._lock = -1

    def _is_ours(self) -> bool:
        """Not if somebody removed the folder: then the socket is another process's by now."""
        try:
            return os.path.samestat(os.stat(self._place.lock), os.fstat(self._lock))
        except FileNotFoundError:
            return False


def claim(place: Place, patience: float = 0.0) -> Claim:
    """Become the one background process of a place.

    Args:
        patience: Seconds to wait for one that is just ending.

    Raises:
        BusyError: There is one already.
        PlaceError: The folder cannot be written: it is read-only, or its disk is full.
    """
    try:
        lock = _locked(place, time.monotonic() + patience)
        try:
            return Claim(place, lock, _listener(place))
        except OSError:
            os.close(lock)
            raise
    except OSError as error:
        raise PlaceError(exits.UNWRITABLE_FOLDER.format(place.folder, error.strerror)) from error


def _listener(place: Place) -> socket.socket:
    _remove(place.socket)  # nobody listens on it: a listener would have the lock
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listener.bind(place.socket)
    except OSError:
        listener.close()
        raise
    finally:
        os.umask(before)
    listener.listen(_BACKLOG)
    listener.setblocking(False)
    return listener


def _locked(place: Place, end: float) -> int:
    lock = os.open(place.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                pid = os.pread(lock, 32, 0).decode(errors="replace").strip()
                os.close(lock)
                raise BusyError(pid) from None
            time.sleep(0.01)
        else:
            os.truncate(lock, 0)
            os.pwrite(lock, b"%d\n" % os.getpid(), 0)
            return lock


def _remove(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


class Daemon:
    """Answers commands until it is told to stop.

    Args:
        idle_timeout: Seconds without connection and command after which it ends; None for never.
        finish: Called when all connections are closed, before `h2c stop` is told that it is done.
    """

    def __init__(
        self,
        place: Place,
        session: Session,
        idle_timeout: float | None,
        uid_of: Callable[[socket.socket], int] = ipc.peer_uid,
        finish: Callable[[], None] = lambda: None,
    ) -> None:
        self._finish = finish
        self._place = place
        self._session = session
        self._idle_timeout = idle_timeout
        self._uid_of = uid_of
        self._stopping = asyncio.Event()
        self._farewell = exits.ENDING
        self._stopped = asyncio.Event()
        self._commands: set[asyncio.Task[None]] = set()
        self._stoppers: set[asyncio.Task[None]] = set()
        self._idle_timer: asyncio.TimerHandle | None = None

    def stop(self, farewell: str = exits.ENDING) -> None:
        """Begin to stop; `serve` returns soon.

        Args:
            farewell: Message for waiting commands; the first call's message counts.
        """
        if not self._stopping.is_set():
            self._farewell = farewell
            self._stopping.set()

    async def serve(self, claimed: Claim, ready: Callable[[], None]) -> None:
        """Answer commands until stopped, then say GOAWAY to all servers and let go of the claim.

        Args:
            ready: Called once the socket answers.
        """
        server = await asyncio.start_unix_server(self._welcome, sock=claimed.listener)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self.stop)
        self._wait_for_idleness()
        ready()
        await self._stopping.wait()
        server.close()
        await self._end_commands()
        await self._session.close()
        self._finish()
        claimed.release()
        self._stopped.set()
        await _finished(self._stoppers)

    async def _end_commands(self) -> None:
        for task in self._commands:
            task.cancel(self._farewell)
        await _finished(self._commands)

    async def _stop_for(self, command: asyncio.Task[None]) -> None:
        """End everything but this command, `h2c stop`, which is to be told when it is done."""
        self._commands.discard(command)
        self._stoppers.add(command)
        self.stop()
        await self._stopped.wait()

    def _wait_for_idleness(self) -> None:
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        if self._idle_timeout is not None:
            loop = asyncio.get_running_loop()
            self._idle_timer = loop.call_later(self._idle_timeout, self._idle)

    def _idle(self) -> None:
        if self._commands or self._session.is_connected:
            self._wait_for_idleness()
        else:
            self.stop()

    async def _welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one command; asyncio runs this in a task and keeps that."""
        task = asyncio.current_task()
        assert task is not None
        self._commands.add(task)
        try:
            if self._is_ours(writer):
                service = Service(self._session, partial(self._stop_for, task), self._place.log)
                await service.answer(Conversation(reader, writer))
        except (ConnectionError, EOFError):
            _LOG.debug("a command hung up")
        finally:
            self._commands.discard(task)
            self._stoppers.discard(task)
            self._wait_for_idleness()
            writer.close()

    def _is_ours(self, writer: asyncio.StreamWriter) -> bool:
        uid = self._uid_of(writer.get_extra_info("socket"))
        if uid != os.getuid():
            _LOG.warning("a process of user %d was refused", uid)
        return uid == os.getuid()


async def _finished(tasks: Collection[asyncio.Task[None]]) -> None:
    """Wait until all have ended, but not for one that does not let itself be ended."""
    if tasks:
        await asyncio.wait(tuple(tasks), timeout=_FAREWELL)


def run(place: Place, command: Start) -> int:
    """Be the background process in this terminal, until Ctrl-C.

    Returns:
        The exit code.

    Raises:
        streams.Failed, BrokenPipeError: The dump or the TLS keys could not be written.
    """
    try:
        claimed = claim(place, _PATIENCE)
    except BusyError as busy:
        streams.say(str(busy))
        return exits.REQUEST_FAILED
    ready = partial(streams.say, exits.STARTED.format(os.getpid()))
    _serve(place, _opened(command, claimed), claimed, ready, None)
    return exits.OK


def main(arguments: Sequence[str]) -> int:
    """Be the background process, started by `command.local`.

    Args:
        arguments: The session, the descriptor that waits for one line, then those of `h2c start`.

    Returns:
        The exit code.
    """
    session, descriptor, *rest = arguments
    with open(int(descriptor), "w") as launcher:
        try:
            command = options.parse(["start", *rest])
            assert isinstance(command, Start)
            place = ipc.find_place(session)
            claimed = claim(place, _PATIENCE)
            dump = _opened(command, claimed)
        except BusyError as busy:
            launcher.write(f"{ipc.BUSY_WORD} {busy.pid}")
            return exits.OK
        except (HeadstartError, streams.Failed) as error:
            launcher.write(str(error))
            return exits.NOT_CONNECTED
        _leave_folder()
        ready = partial(_tell, launcher, ipc.READY_WORD)
        _serve(place, dump, claimed, ready, command.idle_timeout)
    return exits.OK


def _tell(launcher: TextIO, word: str) -> None:
    launcher.write(word)
    launcher.close()


def _leave_folder() -> None:
    """Leave the current folder so that it can be removed; later imports still work."""
    sys.path[:] = [os.path.abspath(entry) for entry in sys.path]
    os.chdir("/")


def _opened(command: Start, claimed: Claim) -> Dump | None:
    """Open the files that frames and keys are written to, in the folder of the command.

    Raises:
        streams.Failed, BrokenPipeError: One cannot be; the claim is let go of.
    """
    try:
        keylog.use(command.keylog)
        return None if command.dump is None else Dump(command.dump)
    except BaseException:
        claimed.release()
        raise


def _serve(
    place: Place,
    dump: Dump | None,
    claimed: Claim,
    ready: Callable[[], None],
    idle_timeout: float | None,
) -> None:
    """Serve until the end; the log is this process's own from now on."""
    try:
        _begin_log(place)
        asyncio.run(_serve_session(place, dump, claimed, ready, idle_timeout))
    finally:
        claimed.release()


def _begin_log(place: Place) -> None:
    """Empty the log; a link is not followed, and a pipe not waited for.

    Raises:
        PlaceError: It cannot be written.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        os.close(os.open(place.log, flags, 0o600))
    except OSError as error:
        raise PlaceError(exits.UNWRITABLE_LOG.format(error.strerror, place.log)) from error
    logging.basicConfig(filename=place.log, format="%(asctime)s %(levelname)s %(message)s")


async def _serve_session(
    place: Place,
    dump: Dump | None,
    claimed: Claim,
    ready: Callable[[], None],
    idle_timeout: float | None,
) -> None:
    if dump is None:
        await Daemon(place, Session(), idle_timeout).serve(claimed, ready)
        return
    daemon = Daemon(place, Session(dump), idle_timeout, finish=dump.close)
    dump.when_failed = daemon.stop
    await daemon.serve(claimed, ready)
    if dump.failure is not None:
        raise dump.failure


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
