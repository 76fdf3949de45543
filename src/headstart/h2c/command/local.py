"""Run commands that need no background process: help, mistakes, `start`, `wiretap`.

Called by `command`, which imports it only then: parsing arguments takes longer than
everything else the command does.
"""

from __future__ import annotations

from headstart import __version__
from headstart.h2c import exits, options, sockets, streams
from headstart.h2c.command import launch
from headstart.h2c.options import HelpWanted, UsageError
from headstart.h2c.options.process import Completion, Start, Version, Wiretap


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
            return _start(sockets.find_place(session), arguments, command)
        case Wiretap():
            # Imported here, as below.
            from headstart.h2c import wiretap

            return wiretap.run(command)
        case Completion():
            # Imported here, as above.
            from headstart.h2c.command import completion

            streams.show(completion.script(command.shell))
            return exits.OK
        case _:
            return None


def check(arguments: list[str]) -> None:
    """See whether the arguments are right.

    Raises:
        streams.Failed: They are not.
    """
    try:
        options.parse(arguments)
    except UsageError as failure:
        raise streams.Failed(str(failure), exits.USAGE) from failure


def _start(place: sockets.Place, arguments: list[str], command: Start) -> int:
    if command.detach:
        launch.detached(place, arguments[1:])
        return exits.OK
    # Imported here: the process turns into the one that serves, with all that this takes.
    from headstart.h2c.daemon import process

    return process.run(place, command)
