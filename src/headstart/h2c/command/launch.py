"""Starting the background process when there is none.

Starts `daemon.process` detached from the terminal, in a session (setsid) of its own, with its
standard streams in the log file, and waits until it says that its socket answers. Reads and writes
the private folder; called by `command` itself and by `local`.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from _socket import socket
from collections.abc import Sequence

from headstart.h2c import exits, framing
from headstart.h2c.sockets import Place, reach
from headstart.h2c.streams import Failed

PATIENCE = 10.0
"""Seconds that a background process may take to answer."""


def background(place: Place) -> socket:
    """Return a connection to the background process, started here unless another command just did.

    Raises:
        Failed: It does not start.
    """
    _spawn(place, [])
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        connection = reach(place)
        if connection is not None:
            return connection
        time.sleep(0.01)  # the other command's process has the lock, and listens in a moment
    raise Failed(exits.NOT_STARTED.format("it does not answer", place.log), exits.NOT_CONNECTED)


def detached(place: Place, arguments: Sequence[str]) -> None:
    """Start a background process with the options of `h2c start`.

    Raises:
        Failed: It does not start, or there is one already.
    """
    outcome, _, detail = _spawn(place, arguments).partition(" ")
    if outcome == framing.BUSY_WORD:
        raise Failed(exits.ALREADY_RUNNING.format(detail))


def _spawn(place: Place, arguments: Sequence[str]) -> str:
    """Start a process and return its message: ready, or that another one runs already."""
    log = _opened_log(place)
    receiver, sender = os.pipe()
    program = [sys.executable, "-P", "-m", "headstart.h2c.daemon.process"]
    try:
        subprocess.Popen(
            [*program, place.session, str(sender), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(sender,),
            start_new_session=True,
        )
        os.close(sender)
        sender = -1
        return _outcome(receiver, place)
    finally:
        for descriptor in (receiver, log, sender):
            if descriptor >= 0:
                os.close(descriptor)


def _opened_log(place: Place) -> int:
    """Open the log without following links or waiting for a pipe; return its descriptor.

    Raises:
        Failed: It cannot be written.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
    try:
        return os.open(place.log, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    except OSError as error:
        told = exits.UNWRITABLE_LOG.format(error.strerror, place.log)
        raise Failed(told, exits.NOT_CONNECTED) from error


def _outcome(receiver: int, place: Place) -> str:
    """Wait for the one line that a starting process writes.

    Raises:
        Failed: It says that it cannot start, ends without a word, or takes too long.
    """
    readable, _, _ = select.select([receiver], [], [], PATIENCE)
    said = os.read(receiver, 4096).decode(errors="replace").strip() if readable else ""
    if said.partition(" ")[0] in (framing.READY_WORD, framing.BUSY_WORD):
        return said
    problem = said or ("it ended at once" if readable else "it does not answer")
    raise Failed(exits.NOT_STARTED.format(problem, place.log), exits.NOT_CONNECTED)
