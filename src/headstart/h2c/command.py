"""The `h2c` command.

Forwards its arguments to the background process and does what that asks for; starts it where it is
missing. Reads the arguments itself only for help, for mistakes in them while no background process
runs, and for what needs none (`start`, `wiretap`, `completion`, `version`). A person waits for this
process to begin, so it imports what it needs when it needs it, and nothing at all from `typing`,
`collections`, `re`. Called by the shell.
"""

import sys
from _socket import socket

from headstart import __version__
from headstart.h2c import exits, sockets, terminal

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
    terminal.open_standard_streams()
    try:
        return _run(sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt:
        if arguments is None:
            _end_interrupted()
        return exits.INTERRUPTED
    except BrokenPipeError:
        return exits.BROKEN_PIPE
    except terminal.Failed as failure:
        terminal.say(str(failure))
        return failure.code
    except sockets.PlaceError as error:
        terminal.say(str(error))
        return error.code


def _run(arguments: list[str]) -> int:
    session, rest = split_session(arguments)
    sockets.check_session(session)
    if rest in (["version"], ["--version"]):
        terminal.show(f"h2c {__version__}\n")
        return exits.OK
    verb = rest[0] if rest else ""
    if not verb or verb in _ANSWERED_HERE or asks_for_help(rest):
        from headstart.h2c import local

        code = local.answer(session, rest)
        if code is not None:
            return code
    place = sockets.find_place(session)
    connection = sockets.reach(place) or _started(place, rest)
    return terminal.Conversation(connection, place.log).run(terminal.request(__version__, rest))


def _end_interrupted() -> None:
    """End as a process does that Ctrl-C ends: shells end a loop or a script around it only then."""
    import os
    import signal

    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGINT)


def split_session(arguments: list[str]) -> tuple[str, list[str]]:
    """The session's name, "" where it is missing, and the arguments without it.

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
    """Whether `-h` or `--help` is among the options; it may still turn out to be a value."""
    return "-h" in arguments or "--help" in arguments


def _started(place: sockets.Place, arguments: list[str]) -> socket:
    """A connection to a background process that is started for it.

    Raises:
        terminal.Failed: The arguments are wrong, or it did not start.
    """
    from headstart.h2c import local

    local.check(arguments)
    if arguments[0] in _NEVER_START:
        raise terminal.Failed(exits.NO_DAEMON, exits.NOT_CONNECTED)
    from headstart.h2c import launch

    return launch.background(place)


if __name__ == "__main__":
    sys.exit(main())
