"""Write messages to the standard streams.

They may be closed, full, non-blocking or read by nobody. Used by every process of `h2c` with a user
in front of it. Imports little, since the command starts with it.
"""

import os

from headstart.h2c import exits


class Failed(Exception):
    """This process ends with a message, or refuses a command.

    Attributes:
        code: The exit code.
    """

    def __init__(self, message: str, code: int = exits.REQUEST_FAILED) -> None:
        super().__init__(message)
        self.code = code


def say(message: str) -> None:
    """One line for the user, on standard error."""
    tell(f"h2c: {message}\n".encode(errors="backslashreplace"))


def tell(lines: bytes) -> None:
    """Write to standard error."""
    try:
        write_all(2, lines)
    except OSError:
        return  # it is closed or full: there is nowhere to say so, and the exit code still counts


def leave_interrupt() -> None:
    """Begin a line behind the ^C that a terminal shows: there are last words to say."""
    if is_terminal(2):
        tell(b"\n")


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of it, also to a pipe or a terminal that somebody made non-blocking."""
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:
            wait_writable(descriptor)


def wait_writable(descriptor: int) -> None:
    """Wait until the descriptor takes bytes."""
    import select

    select.select([], [descriptor], [])


def show(text: str) -> None:
    """Write to standard output.

    Raises:
        Failed: It cannot be written: the disk is full, for instance.
        BrokenPipeError: Nobody reads it any more.
    """
    try:
        write_all(1, text.encode())
    except BrokenPipeError:
        raise
    except OSError as error:
        raise Failed(exits.CANNOT_WRITE.format("standard output", error.strerror)) from error


def is_terminal(descriptor: int) -> bool:
    """Return true if a standard stream is open and a terminal."""
    try:
        return os.isatty(descriptor)
    except OSError:
        return False


def open_standard_streams() -> None:
    """Put the null device where a standard stream is closed: a socket would take its number."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
