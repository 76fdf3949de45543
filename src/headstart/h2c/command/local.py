"""Run commands without a background process, and start one for the others.

Help, mistakes, `start`, `wiretap`, `completion` and `version` need none. For the others
`daemon.process` is started detached from the terminal, in a session (setsid) of its own, with its
standard streams in the log file, and awaited until it says that its socket answers. Reads and
writes the private folder. Called by `command`, which imports it only then: parsing arguments takes
longer than everything else the command does.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from _socket import socket
from collections.abc import Sequence

from headstart import __version__
from headstart.h2c import exits, ipc, options, streams
from headstart.h2c.ipc import Place, reach
from headstart.h2c.options import HelpWanted, UsageError
from headstart.h2c.options.process import Completion, Start, Version, Wiretap
from headstart.h2c.streams import Failed

PATIENCE = 10.0
"""Seconds that a background process may take to answer."""
# An argument that nothing completes: zsh would say so, and then insert no option either.
_NOTHING = {"zsh": "{true}"}


def answer(session: str, arguments: list[str]) -> int | None:
    """Run the command if it needs no background process.

    Returns:
        The exit code, or None if the command needs the background process.
    """
    try:
        command = options.parse(arguments)
    except HelpWanted as wanted:
        streams.show(str(wanted))
        return exits.OK
    except UsageError as failure:
        streams.say(str(failure))
        return exits.USAGE
    match command:
        case Version():
            streams.show(f"h2c {__version__}\n")
            return exits.OK
        case Start():
            return _start(ipc.find_place(session), arguments, command)
        case Wiretap():
            # Imported here, as in `_start`.
            from headstart.h2c import wiretap

            return wiretap.run(command)
        case Completion():
            streams.show(completion_script(command.shell))
            return exits.OK
        case _:
            return None


def check(arguments: list[str]) -> None:
    """See whether the arguments are right.

    Raises:
        Failed: They are not.
    """
    try:
        options.parse(arguments)
    except UsageError as failure:
        raise Failed(str(failure), exits.USAGE) from failure


def _start(place: Place, arguments: list[str], command: Start) -> int:
    if command.detach:
        detached(place, arguments[1:])
        return exits.OK
    # Imported here: the process turns into the one that serves, with all that this takes.
    from headstart.h2c.daemon import process

    return process.run(place, command)


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
    if outcome == ipc.BUSY_WORD:
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
    if said.partition(" ")[0] in (ipc.READY_WORD, ipc.BUSY_WORD):
        return said
    problem = said or ("it ended at once" if readable else "it does not answer")
    raise Failed(exits.NOT_STARTED.format(problem, place.log), exits.NOT_CONNECTED)


def completion_script(shell: str) -> str:
    """Return the script that lets a shell complete the commands of `h2c` and their options.

    shtab makes it from the parser that reads them, so that nothing is declared twice. The script
    runs nothing but the shell, so completing starts no background process.

    Args:
        shell: `bash`, `zsh` or `fish`.
    """
    # Imported here: no other command takes it.
    import shtab

    grammar = options.new_grammar()
    # What is read by hand, since it may stand before a command and behind it.
    grammar.parser.add_argument("--version", action="store_true", help="print the version")
    for parser in (grammar.parser, *grammar.parsers.values()):
        parser.add_argument("--session", metavar="NAME", help="use a background process of its own")
    grammar.add_help_command()
    for action in grammar.files:
        vars(action).update(complete=shtab.FILE)
    for action in grammar.arguments:
        if action.choices is None:
            vars(action).update(complete=_NOTHING)
    return shtab.complete(grammar.parser, shell=shell)
