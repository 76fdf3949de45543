"""Run `h2c` in the foreground. A person waits for this process, so it does as little as it can.

It asks the background process to run the command, starts that process if it is missing, and then
carries out its instructions. It parses the arguments itself only for help, for invalid arguments
while the background process is not running, and for commands that do not need one (`start`,
`wiretap`, `completion`, `version`).

    conversation.py  its side of the conversation, and where a response goes
    local.py         commands that run without the background process, and how that is started

It imports modules only when it needs them, and never `typing`, `collections` or `re`. Called by
the shell.
"""

import sys
from _socket import socket

from headstart import __version__
from headstart.h2c import exits, ipc, streams
from headstart.h2c.command.conversation import Conversation, request

# These need no background process, or must not start one.
_NEVER_START = ("pid", "stop")
_ANSWERED_HERE = ("start", "wiretap", "completion", "version", "--version", "help")


def main(arguments: list[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: Without the program's name; `sys.argv` where there are none.

    Returns:
        The exit code, one of `exits`.
    """
    streams.open_standard_streams()
    try:
        return _run(sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt:
        if arguments is None:
            _end_interrupted()
        return exits.INTERRUPTED
    except BrokenPipeError:
        return exits.BROKEN_PIPE
    except streams.Failed as failure:
        streams.say(str(failure))
        return failure.code
    except ipc.PlaceError as error:
        streams.say(str(error))
        return error.code


def _run(arguments: list[str]) -> int:
    session, rest = split_session(arguments)
    ipc.check_session(session)
    if rest in (["version"], ["--version"]):
        streams.show(f"h2c {__version__}\n")
        return exits.OK
    verb = rest[0] if rest else ""
    if not verb or verb in _ANSWERED_HERE or asks_for_help(rest):
        from headstart.h2c.command import local

        code = local.answer(session, rest)
        if code is not None:
            return code
    place = ipc.find_place(session)
    connection = ipc.reach(place) or _started(place, rest)
    return Conversation(connection, place).run(request(__version__, rest))


def _end_interrupted() -> None:
    """End as a process does that Ctrl-C ends: shells end a loop or a script around it only then."""
    import os
    import signal

    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGINT)


def split_session(arguments: list[str]) -> tuple[str, list[str]]:
    """Return the session's name ("" if it is missing) and the arguments without it.

    Before the command it is found at once; behind that it may be the value of another option.
    """
    session, rest = "default", arguments
    first = arguments[0] if arguments else ""
    if first == "--session":
        session, rest = "".join(arguments[1:2]), arguments[2:]
    elif first.startswith("--session="):
        session, rest = first[len("--session=") :], arguments[1:]
    if any(argument.startswith("--session") for argument in rest):
        from headstart.h2c import options

        behind, rest = options.split_session(rest)
        session = session if behind is None else behind
    return session, rest


def asks_for_help(arguments: list[str]) -> bool:
    """Return true if `-h` or `--help` is among the options; it may still turn out to be a value."""
    return "-h" in arguments or "--help" in arguments


def _started(place: ipc.Place, arguments: list[str]) -> socket:
    """Start a background process and return a connection to it.

    Raises:
        streams.Failed: The arguments are wrong, or it did not start.
    """
    from headstart.h2c.command import local

    local.check(arguments)
    if arguments[0] in _NEVER_START:
        raise streams.Failed(exits.NO_DAEMON, exits.NOT_CONNECTED)
    return local.background(place)
