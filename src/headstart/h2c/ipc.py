"""How the command and the background process find each other, and how they talk.

The background process listens on a Unix socket in a folder of the user's own, which nobody else may
enter: `headstart` below $XDG_RUNTIME_DIR, or `headstart-UID` in the folder for temporary files.
Both sides ask the kernel who the other one is.

A frame is its kind (1 byte), the length of its payload (4 bytes, big-endian), and the payload. The
command sends one `REQUEST`, then responds to the background process, which sends output, asks for
input, and ends with `EXIT`. Input is only sent when asked for, and output waits in the socket, so
either side can slow the other down. Either side may disconnect: to the background process that
means that the user pressed Ctrl-C, unless it sent `PATIENT` before. The layout of `REQUEST` never
changes, so that two versions can recognise each other.

Reads the environment and the file system, makes the folder; called by `command` and `daemon`.
Imports no more than it must: the command starts with it.
"""

import _socket
import os
import stat
import sys
from _socket import AF_UNIX, SOCK_STREAM, SOL_SOCKET, socket

from headstart.errors import HeadstartError
from headstart.folders import runtime_folder
from headstart.h2c import exits

TYPE_CHECKING = False  # importing it from typing would take longer than all the rest
if TYPE_CHECKING:
    from collections.abc import Callable

# sun_path takes 108 octets on Linux and 104 elsewhere, with a NUL at the end.
_LONGEST_PATH = 103
_DEFAULT_SESSION = "default"

# From the command.
REQUEST = 1
"""Fields with NUL between them: version, working directory, facts, then the arguments."""
INPUT = 2
"""Up to as many octets as `WANT` asked for; none at the end of the input."""
READY = 3
"""The file named by `OPEN_INPUT`, `OPEN_OUTPUT` or `OPEN_PICTURE` is open.

After `OPEN_INPUT`, 8 octets, big-endian, say its size where it has one; empty otherwise.
"""
INTERRUPT = 4
"""The user pressed Ctrl-C after `PATIENT`; empty."""

# From the background process.
OUTPUT = 16
"""Octets for standard output, or for the file named by `OPEN_OUTPUT`."""
MESSAGE = 17
"""UTF-8 for standard error, line feeds included."""
OPEN_OUTPUT = 18
"""The path of a file that takes all `OUTPUT`; it replaces an older one when the exit code is 0."""
OPEN_INPUT = 19
"""The path of a file to read; `-` is standard input."""
WANT = 20
"""How many octets of input are wanted at most: 4 octets, big-endian."""
EXIT = 21
"""The exit code, 1 octet; the last frame."""

PATIENT = 22
"""Ctrl-C is to be told with `INTERRUPT`, and `EXIT` waited for; a second one ends the command."""
PROGRESS = 23
"""A line of UTF-8 for standard error, without a line feed, that takes the place of the one before.

Empty for none; also erased by `MESSAGE` and at the end.
"""

CLOSE_OUTPUT = 24
"""The file of `OPEN_OUTPUT` is complete and takes its place; `OUTPUT` is standard output again."""
OPEN_PICTURE = 26
"""Like `OPEN_OUTPUT`, but an older file must be an SVG picture: any other is left as it is."""

# What a background process says, in one line, to the command that started it; anything else is what
# is wrong.
READY_WORD = "ready"
"""Its socket answers."""
BUSY_WORD = "busy"
"""There is one already; its process id follows."""

HEARD = 25
"""The `REQUEST` has come; empty, and the first frame: a process that is stopped is noticed so."""

HEADER_SIZE = 5
MAX_PAYLOAD = 4 * 1024 * 1024
"""Arguments may be this long together (Linux: 2 MiB); everything else is far shorter."""

# The facts of a `REQUEST`, in any order but for the last one.
STDOUT_IS_TERMINAL = "o"
STDERR_IS_TERMINAL = "e"
COLOUR = "c"
"""NO_COLOR is not set."""
UNICODE = "u"
"""Text is UTF-8 here."""
PROXIES = {"s": "HTTPS_PROXY", "h": "HTTP_PROXY", "a": "ALL_PROXY"}
"""These variables are set, in small or capital letters."""
WIDTH = "w"
"""The decimal number of a terminal's columns follows; left out where it is not known."""


class PlaceError(HeadstartError):
    """The folder or the socket cannot be used, or belongs to somebody else.

    Attributes:
        code: The exit code.
    """

    def __init__(self, message: str, code: int = exits.NOT_CONNECTED) -> None:
        super().__init__(message)
        self.code = code


class Place:
    """The files of one session's background process.

    Attributes:
        folder: The private folder, an absolute path.
        session: The session's name.
    """

    __slots__ = ("folder", "session")

    def __init__(self, folder: str, session: str = _DEFAULT_SESSION) -> None:
        self.folder = folder
        self.session = session

    @property
    def socket(self) -> str:
        """The socket's path."""
        return f"{self.folder}/{self.session}.sock"

    @property
    def lock(self) -> str:
        """The file that the running process has locked; holds its process id."""
        return f"{self.folder}/{self.session}.lock"

    @property
    def log(self) -> str:
        """Return the file for error messages of the background process."""
        return f"{self.folder}/{self.session}.log"


def find_place(session: str = _DEFAULT_SESSION) -> Place:
    """Return the socket's path for a session of this user; create its folder if it is missing.

    Raises:
        PlaceError: The folder is not private, or the name is not usable.
    """
    check_session(session)
    uid = os.getuid()
    place = Place(runtime_folder(uid), session)
    if len(os.fsencode(place.socket)) > _LONGEST_PATH:
        raise PlaceError(exits.LONG_FOLDER.format(place.folder))
    make_private(place.folder, uid)
    return place


def check_session(name: str) -> None:
    """See whether a session may be called so; it becomes part of a path.

    Raises:
        PlaceError: It may not.
    """
    plain = name.replace("-", "a").replace("_", "a")
    if not (0 < len(name) <= 32 and plain.isascii() and plain.isalnum()):
        raise PlaceError(exits.BAD_SESSION.format(name), exits.USAGE)


def make_private(folder: str, uid: int) -> None:
    """Make the folder where it is missing, and see that only `uid` can enter it.

    Raises:
        PlaceError: It cannot be made, is a link, belongs to somebody else, or is open to others.
    """
    try:
        found = os.lstat(folder)
    except FileNotFoundError:
        found = _made(folder)
    if not stat.S_ISDIR(found.st_mode):
        raise PlaceError(exits.NOT_A_FOLDER.format(folder))
    if found.st_uid != uid:
        raise PlaceError(exits.FOREIGN_FOLDER.format(folder, found.st_uid))
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise PlaceError(exits.OPEN_FOLDER.format(folder))


def _made(folder: str) -> os.stat_result:
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:
        pass  # another command was quicker; it is checked like any other
    except OSError as error:
        raise PlaceError(exits.UNUSABLE_FOLDER.format(folder, error.strerror)) from error
    return os.lstat(folder)


def peer_uid(connection: socket) -> int:
    """Return the user id of the peer of a Unix socket, from the kernel."""
    if sys.platform == "linux":
        # struct ucred: pid, uid, gid
        credentials = connection.getsockopt(SOL_SOCKET, _socket.SO_PEERCRED, 12)
    else:
        # macOS and BSD, SOL_LOCAL and LOCAL_PEERCRED; struct xucred: version, uid, ...
        credentials = connection.getsockopt(0, 1, 76)
    return int.from_bytes(credentials[4:8], sys.byteorder)


def reach(place: Place, uid_of: "Callable[[socket], int]" = peer_uid) -> socket | None:
    """Connect to the background process; return None if it does not respond.

    Raises:
        PlaceError: It belongs to somebody else, or the socket cannot be used.
    """
    connection = socket(AF_UNIX, SOCK_STREAM)
    try:
        connection.connect(place.socket)
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        return None
    except OSError as error:
        raise PlaceError(exits.UNREACHABLE.format(place.socket, error.strerror)) from error
    uid = uid_of(connection)
    if uid != os.getuid():
        connection.close()
        raise PlaceError(exits.NOT_OURS.format(place.socket, uid))
    return connection


def frame(kind: int, payload: bytes = b"") -> bytes:
    """One frame, ready to send."""
    return kind.to_bytes(1, "big") + len(payload).to_bytes(4, "big") + payload


def read_header(header: bytes) -> tuple[int, int]:
    """Kind and payload length from `HEADER_SIZE` octets."""
    return header[0], int.from_bytes(header[1:HEADER_SIZE], "big")
