"""How the command and the background process communicate: frames over a Unix socket.

A frame is its kind (1 byte), the length of its payload (4 bytes, big-endian), and the payload. The
command sends one `REQUEST`, then responds to the background process, which sends output, asks for
input, and ends with `EXIT`. Input is only sent when asked for, and output waits in the socket, so
either side can slow the other down. Either side may disconnect: to the background process that
means that the user pressed Ctrl-C, unless it sent `PATIENT` before. Read by both sides'
`conversation`; imports nothing.

The layout of `REQUEST` never changes, so that two versions can recognise each other.
"""

# From the command.
REQUEST = 1
"""Fields with NUL between them: version, working directory, facts, then the arguments."""
INPUT = 2
"""Up to as many octets as `WANT` asked for; none at the end of the input."""
READY = 3
"""The file named by `OPEN_INPUT` or `OPEN_OUTPUT` is open.

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


def frame(kind: int, payload: bytes = b"") -> bytes:
    """One frame, ready to send."""
    return kind.to_bytes(1, "big") + len(payload).to_bytes(4, "big") + payload


def read_header(header: bytes) -> tuple[int, int]:
    """Kind and payload length from `HEADER_SIZE` octets."""
    return header[0], int.from_bytes(header[1:HEADER_SIZE], "big")
