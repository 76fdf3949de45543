"""The command's half of the conversation: it moves bytes, and opens files for the other side.

Files are opened here, not in the background process, so that paths, permissions and `umask` are
those of the shell that the user typed the command in. A file named by `-o` is written beside its
place and put there when all of it has come. Called by `command` itself; imports no more than it
must.
"""

import os
import stat
import sys
from _socket import MSG_WAITALL, socket

from headstart.h2c import exits, ipc
from headstart.h2c.ipc import Place
from headstart.h2c.streams import Failed, is_terminal, leave_interrupt, tell, write_all

PATIENCE = 10.0
"""Seconds that the background process may take to say that it has heard."""
# Octets of a file's name that are kept in that of the one which is written beside its place.
_LONGEST_KEPT = 100
# Octets of a picture in which its SVG element begins, behind an XML declaration.
_PICTURE_HEAD = 1000


def request(version: str, arguments: list[str]) -> bytes:
    """Return the `REQUEST` frame for the arguments as typed in this process."""
    fields = [version, working_folder(), facts(), *arguments]
    return ipc.frame(ipc.REQUEST, b"\0".join(map(os.fsencode, fields)))


def facts() -> str:
    """Return the properties of the standard streams that the background process needs."""
    told = ipc.STDOUT_IS_TERMINAL if is_terminal(1) else ""
    told += ipc.STDERR_IS_TERMINAL if is_terminal(2) else ""
    told += "" if os.environ.get("NO_COLOR") else ipc.COLOUR
    told += ipc.UNICODE if sys.getfilesystemencoding() == "utf-8" else ""
    for letter, name in ipc.PROXIES.items():
        told += letter if os.environ.get(name) or os.environ.get(name.lower()) else ""
    columns = width()
    return f"{told}{ipc.WIDTH}{columns}" if columns else told


def width() -> int:
    """Columns of standard output, or of standard error; 0 where neither is a terminal."""
    told = os.environ.get("COLUMNS", "")
    if told.isdecimal() and told.isascii():
        return int(told[:4])
    for descriptor in (1, 2):
        try:
            return os.get_terminal_size(descriptor).columns
        except OSError:
            continue
    return 0


def working_folder() -> str:
    """Return the current folder, or the root if the folder no longer exists."""
    try:
        return os.getcwd()
    except OSError:
        return "/"


class Conversation:
    """One command's exchange with the background process."""

    __slots__ = ("_connection", "_input", "_output", "_place", "_progress", "_wanted")

    def __init__(self, connection: socket, place: Place) -> None:
        self._connection = connection
        self._place = place
        self._input = 0
        self._output = Output()
        self._progress = False  # a line of it is on the terminal
        self._wanted = 0  # octets of input that were asked for and not given yet

    def run(self, request: bytes) -> int:
        """Send the request, do as asked, and return the exit code.

        Raises:
            Failed: A file cannot be used, or the background process is silent or went away.
            BrokenPipeError: Nobody reads our standard output any more.
        """
        self._connection.settimeout(PATIENCE)  # until the first frame
        try:
            self._send(request)
            return self._answer_all()
        except TimeoutError as error:
            raise Failed(exits.NO_ANSWER.format(pid_of(self._place)), exits.TIMED_OUT) from error
        except (ConnectionResetError, EOFError) as error:
            self._end_line()
            raise Failed(exits.LOST_DAEMON.format(self._place.log), exits.NOT_CONNECTED) from error
        finally:
            self._show_progress(b"")
            self._output.discard()
            self._connection.close()

    def _answer_all(self) -> int:
        while True:
            if self._wanted and self._has_input():
                self._give_input()
                continue
            kind, size = ipc.read_header(self._receive(ipc.HEADER_SIZE))
            self._connection.settimeout(None)
            payload = self._receive(size)
            if kind == ipc.EXIT:
                return self._exit(payload[0])
            self._answer(kind, payload)

    def _answer(self, kind: int, payload: bytes) -> None:
        if kind == ipc.OUTPUT:
            self._output.write(payload)
        elif kind == ipc.CLOSE_OUTPUT:
            self._output.keep()
            self._output = Output()
        elif kind == ipc.MESSAGE:
            self._show_progress(b"")
            self._end_line()
            tell(payload)
        elif kind == ipc.PROGRESS:
            self._show_progress(payload)
        elif kind == ipc.WANT:
            self._wanted = int.from_bytes(payload, "big")
        elif kind == ipc.PATIENT:
            self._tell_of_interrupts()
        elif kind == ipc.OPEN_INPUT:
            self._input = open_input(payload)
            self._send(ipc.frame(ipc.READY, size_of(self._input)))
        elif kind == ipc.OPEN_OUTPUT:
            self._output.open(payload)
            self._send(ipc.frame(ipc.READY))
        elif kind == ipc.OPEN_PICTURE:
            check_picture(payload)
            self._output.open(payload)
            self._send(ipc.frame(ipc.READY))

    def _show_progress(self, line: bytes) -> None:
        """Replace the line of progress, or erase it."""
        if line or self._progress:
            tell(b"\r" + line + b"\x1b[K")
        self._progress = bool(line)

    def _end_line(self) -> None:
        """End an open line of content on a terminal, so that a message begins on its own line."""
        if self._output.is_amid_line and is_terminal(1) and is_terminal(2):
            self._output.write(b"\n")

    def _tell_of_interrupts(self) -> None:
        """From now on the first Ctrl-C is told to the other side, which has last words to say."""
        import signal  # it takes a while to import

        def interrupted(number: int, frame: object) -> None:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            leave_interrupt()
            self._send(ipc.frame(ipc.INTERRUPT))

        signal.signal(signal.SIGINT, interrupted)

    def _has_input(self) -> bool:
        """Wait for input or for the other side, which may have the answer before it has it all."""
        import select

        connection = self._connection.fileno()
        readable, _, _ = select.select([connection, self._input], [], [])
        return connection not in readable

    def _give_input(self) -> None:
        data = read_some(self._input, self._wanted)
        self._wanted = 0
        self._send(ipc.frame(ipc.INPUT, data))

    def _send(self, frame: bytes) -> None:
        try:
            self._connection.sendall(frame)
        except (BrokenPipeError, ConnectionResetError):
            return  # it hung up: what it said before that, or its end, is still to be read

    def _exit(self, code: int) -> int:
        if code == exits.OK:
            self._output.keep()
        return code

    def _receive(self, size: int) -> bytes:
        """Exactly `size` octets."""
        data = self._connection.recv(size, MSG_WAITALL) if size else b""
        while len(data) < size:  # a signal came in between, or the other side hung up
            more = self._connection.recv(size - len(data), MSG_WAITALL)
            if not more:
                raise EOFError
            data += more
        return data


def pid_of(place: Place) -> str:
    """Return the process id of the background process from its lock file."""
    try:
        with open(place.lock, encoding="ascii", errors="replace") as lock:
            return lock.read(20).strip() or "?"
    except OSError:
        return "?"


def open_input(path: bytes) -> int:
    """Return a descriptor for reading the file; 0 for `-`.

    Raises:
        Failed: The file cannot be opened.
    """
    if path == b"-":
        return 0
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise IsADirectoryError(21, "it is a folder")
    except OSError as error:
        raise Failed(exits.CANNOT_READ.format(os.fsdecode(path), error.strerror)) from error
    return descriptor


def size_of(descriptor: int) -> bytes:
    """How much of a regular file is still to be read, as 8 octets; none for anything else."""
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        return b""
    left = found.st_size - os.lseek(descriptor, 0, os.SEEK_CUR)
    return max(left, 0).to_bytes(8, "big")


def read_some(descriptor: int, size: int) -> bytes:
    """Up to `size` octets, none at the end.

    Raises:
        Failed: They cannot be read.
    """
    while True:
        try:
            return os.read(descriptor, size)
        except BlockingIOError:
            wait_readable(descriptor)
        except OSError as error:
            name = "standard input" if descriptor == 0 else "the file"
            raise Failed(exits.CANNOT_READ.format(name, error.strerror)) from error


def wait_readable(descriptor: int) -> None:
    """Wait until the descriptor has bytes, where somebody made it non-blocking."""
    import select

    select.select([descriptor], [], [])


class Output:
    """Where a response goes: standard output, or a file that appears when it is complete."""

    __slots__ = ("_descriptor", "_ends_line", "_path", "_unfinished")

    def __init__(self) -> None:
        self._descriptor = 1
        self._ends_line = True
        self._path = b""
        self._unfinished = b""

    @property
    def is_amid_line(self) -> bool:
        """Return true if output goes to standard output and its last line is not finished."""
        return self._descriptor == 1 and not self._ends_line

    def open(self, path: bytes) -> None:
        """Write to this file from now on; an old one stays until `keep`.

        Raises:
            Failed: It cannot be written.
        """
        self._path = path
        try:
            mode = mode_of(path)
            if mode is None and os.path.basename(path) in (b"", b".", b".."):
                raise IsADirectoryError(21, "it names a folder")
            if mode is None or stat.S_ISREG(mode):
                self._path = os.path.realpath(path)
                self._open_beside(mode)
            else:  # a device or a pipe, /dev/stdout perhaps: nothing can be put in its place
                self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC)
        except OSError as error:
            raise self._failure(error) from error

    def _open_beside(self, mode: int | None) -> None:
        if mode is not None and not os.access(self._path, os.W_OK):
            raise PermissionError(13, "permission denied")
        folder, name = os.path.split(self._path)
        beside = os.path.join(folder, b"%b.%d.part" % (shortened(name), os.getpid()))
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._descriptor = os.open(beside, flags, 0o666)
        self._unfinished = beside
        if mode is not None:
            os.fchmod(self._descriptor, stat.S_IMODE(mode))

    def write(self, data: bytes) -> None:
        """Write all of it.

        Raises:
            Failed: The disk is full, for instance.
            BrokenPipeError: Nobody reads it any more.
        """
        try:
            write_all(self._descriptor, data)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise self._failure(error) from error
        if data:
            self._ends_line = data.endswith(b"\n")

    def keep(self) -> None:
        """All has come: put the file in its place.

        Raises:
            Failed: That cannot be done.
        """
        if not self._unfinished:
            return
        try:
            os.close(self._descriptor)
            os.replace(self._unfinished, self._path)
        except OSError as error:
            raise self._failure(error) from error
        self._unfinished = b""

    def discard(self) -> None:
        """Remove an incomplete file; do nothing after `keep`."""
        if self._unfinished:
            unfinished, self._unfinished = self._unfinished, b""
            try:
                os.unlink(unfinished)
            except OSError:
                return  # somebody else removed it, or its folder; why we end is told already

    def _failure(self, error: OSError) -> Failed:
        name = os.fsdecode(self._path) if self._path else "standard output"
        return Failed(exits.CANNOT_WRITE.format(name, error.strerror))


def check_picture(path: bytes) -> None:
    """Raise Failed if there is a file with content that is not an SVG picture, as a certificate."""
    mode = mode_of(path)
    if mode is None or not stat.S_ISREG(mode):
        return
    try:
        with open(path, "rb") as file:
            head = file.read(_PICTURE_HEAD)
    except OSError as error:
        raise Failed(exits.CANNOT_WRITE.format(os.fsdecode(path), error.strerror)) from error
    if head and not (head.startswith((b"<?xml", b"<svg")) and b"<svg" in head):
        raise Failed(exits.NOT_A_PICTURE.format(os.fsdecode(path)))


def shortened(name: bytes) -> bytes:
    """Return the name, cut if it leaves no room for a suffix: a file name may have 255 bytes."""
    if len(name) <= _LONGEST_KEPT:
        return name
    return name[:_LONGEST_KEPT].decode("utf-8", "ignore").encode()


def mode_of(path: bytes) -> int | None:
    """Return the mode of the file at the path, or None if it does not exist."""
    try:
        return os.stat(path).st_mode
    except FileNotFoundError:
        return None
