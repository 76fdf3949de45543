"""The background process's half of the conversation with one command.

Reads frames from the command's socket and writes frames to it (see `ipc`). Input comes only
when it was asked for, and writing waits while the command is slow, so nothing piles up here. Made
by `process`; used by `service`, `requesting` and `transfer`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from headstart.errors import HeadstartError
from headstart.h2c import exits, ipc

INPUT_SIZE = 64 * 1024
"""Octets of input asked for at a time."""


class MisunderstoodError(HeadstartError):
    """The command does not speak as `ipc` says."""


@dataclass(frozen=True, slots=True)
class Request:
    """The arguments that the user typed, and the terminal.

    Attributes:
        version: The command's version.
        folder: Its working directory.
        arguments: Without the program's name.
        colour: The terminal supports colour.
        unicode: The terminal supports Unicode.
        width: Columns of the terminal; 0 without a terminal.
        proxies: The variables that name a proxy in the command's environment.
    """

    version: str
    folder: str
    stdout_is_terminal: bool
    stderr_is_terminal: bool
    arguments: tuple[str, ...]
    colour: bool = False
    unicode: bool = False
    width: int = 0
    proxies: tuple[str, ...] = ()

    @classmethod
    def parse(cls, payload: bytes) -> Request:
        """Read the payload of a `REQUEST` frame.

        Raises:
            MisunderstoodError: A field is missing.
        """
        fields = payload.decode("utf-8", "surrogateescape").split("\0")
        if len(fields) < 3:
            raise MisunderstoodError(exits.BAD_REQUEST)
        version, folder, facts, *arguments = fields
        flags, _, width = facts.partition(ipc.WIDTH)
        return cls(
            version,
            folder,
            ipc.STDOUT_IS_TERMINAL in flags,
            ipc.STDERR_IS_TERMINAL in flags,
            tuple(arguments),
            ipc.COLOUR in flags,
            ipc.UNICODE in flags,
            int(width[:4]) if width.isascii() and width.isdecimal() else 0,
            tuple(name for letter, name in ipc.PROXIES.items() if letter in flags),
        )


class Conversation:
    """One command's connection.

    `listen` must run beside everything else; it ends when the command hangs up.

    Attributes:
        interrupted: The user pressed Ctrl-C after `be_patient`.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._answers: asyncio.Queue[tuple[int, bytes]] = asyncio.Queue(1)
        self.interrupted = asyncio.Event()

    async def request(self) -> Request:
        """Return the command's first frame.

        Raises:
            MisunderstoodError: It is something else.
        """
        kind, payload = await self._frame()
        if kind != ipc.REQUEST:
            raise MisunderstoodError(exits.BAD_REQUEST)
        return Request.parse(payload)

    async def heard(self) -> None:
        """Say that the request has come, before anything that may take its time."""
        await self._send(ipc.HEARD, b"")

    async def listen(self) -> None:
        """Take in the command's answers until it hangs up."""
        try:
            while True:
                kind, payload = await self._frame()
                if kind == ipc.INTERRUPT:
                    self.interrupted.set()
                else:
                    await self._answers.put((kind, payload))
        except (asyncio.IncompleteReadError, ConnectionError):
            return

    async def out(self, data: bytes) -> None:
        """Write to the command's output; returns when there is room for more."""
        await self._send(ipc.OUTPUT, data)

    async def print(self, text: str) -> None:
        """Write one line to the command's output."""
        await self.out(octets(text + "\n"))

    async def say(self, message: str) -> None:
        """Write one line to the command's standard error, as printable characters only."""
        await self._send(ipc.MESSAGE, octets(f"h2c: {printable(message)}\n"))

    async def progress(self, line: str) -> None:
        """Replace the line on the terminal's standard error that shows progress; "" erases it."""
        await self._send(ipc.PROGRESS, octets(line))

    async def be_patient(self) -> None:
        """Have Ctrl-C set `interrupted` instead of hanging up."""
        await self._send(ipc.PATIENT, b"")

    async def open_output(self, path: str) -> None:
        """Have all further output written to a file."""
        await self._send(ipc.OPEN_OUTPUT, octets(path))
        await self._expect(ipc.READY)

    async def open_picture(self, path: str) -> None:
        """Have all further output written to a file, unless it holds something but a picture."""
        await self._send(ipc.OPEN_PICTURE, octets(path))
        await self._expect(ipc.READY)

    async def close_output(self) -> None:
        """Complete the file, move it into place, and write to standard output again."""
        await self._send(ipc.CLOSE_OUTPUT, b"")

    async def open_input(self, path: str) -> int | None:
        """Have a file opened for `read`; `-` is standard input.

        Returns:
            Its size in octets, None where it has none, as a pipe.
        """
        await self._send(ipc.OPEN_INPUT, octets(path))
        size = await self._expect(ipc.READY)
        return int.from_bytes(size, "big") if size else None

    async def read(self) -> bytes:
        """Return some bytes of input; b"" at the end."""
        await self._send(ipc.WANT, INPUT_SIZE.to_bytes(4, "big"))
        return await self._expect(ipc.INPUT)

    async def exit(self, code: int) -> None:
        """End the command."""
        await self._send(ipc.EXIT, bytes([code]))

    async def _send(self, kind: int, payload: bytes) -> None:
        self._writer.write(ipc.frame(kind, payload))
        await self._writer.drain()

    async def _expect(self, kind: int) -> bytes:
        received, payload = await self._answers.get()
        if received != kind:
            raise MisunderstoodError(exits.BAD_REQUEST)
        return payload

    async def _frame(self) -> tuple[int, bytes]:
        header = await self._reader.readexactly(ipc.HEADER_SIZE)
        kind, size = ipc.read_header(header)
        if size > ipc.MAX_PAYLOAD:
            raise MisunderstoodError(exits.BAD_REQUEST)
        return kind, await self._reader.readexactly(size)


def octets(text: str) -> bytes:
    """Text as the command's terminal or file system takes it."""
    return text.encode("utf-8", "surrogateescape")


def printable(text: str) -> str:
    """Return the text without control characters: a message may quote a server."""
    return "".join(
        character if character.isprintable() else repr(character)[1:-1] for character in text
    )
