"""One background process a session: the lock and the listening socket.

Whoever holds the lock file's lock owns the socket's path: it alone removes a stale socket and
listens. The kernel lets go of the lock when the process ends, however it ends, so there is no
stale lock; the file itself stays. Called by `process`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import time

from headstart.errors import HeadstartError
from headstart.h2c import exits
from headstart.h2c.ipc import Place, PlaceError

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
    _remove(place.socket)  # nobody listens on it: whoever did would have the lock
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
