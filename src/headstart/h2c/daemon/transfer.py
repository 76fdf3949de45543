"""Move content between a command and its request, and show the response.

Content goes as it is, from the command to the request and from the response to the command. The
status, the headers and the trailers are shown if the user asked for them. Bodies of more than 1 MiB
show how far they are on one line of the terminal's standard error, ten times a second at most; the
conversation erases the line at the end. Made by `requesting`; writes to the conversation.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator

from headstart import figures
from headstart.client.headers import Headers
from headstart.client.response import AsyncResponse
from headstart.errors import LocalProtocolError
from headstart.h2c import exits
from headstart.h2c.codings import Decoding
from headstart.h2c.daemon.conversation import Conversation, Request
from headstart.h2c.daemon.session import StoredResponse
from headstart.h2c.options.requests import FromFile, RequestCommand, Text
from headstart.wire.payloads import visible

# Text does not have it.
BINARY = b"\0"
LEAST = 1024 * 1024
_INTERVAL = 0.1
_LONGEST_BAR = 30
_UNKNOWN_WIDTH = 80
_NARROWEST = 20


class Transfer:
    """Moves content from the command to the request, and the response to the command."""

    def __init__(
        self, command: RequestCommand, conversation: Conversation, request: Request
    ) -> None:
        self._command = command
        self._conversation = conversation
        self._request = request
        self._to_terminal = request.stdout_is_terminal and command.output in ("", "-")
        self._first = b""
        """The first bytes of the file, read to find out if it is empty."""
        self.size: int | None = None
        """Of the file with the request's content, if that is known."""

    async def open(self, path: str) -> None:
        """Have the command open the file with the request's content."""
        self.size = await self._conversation.open_input(path)
        if self.size == 0:
            # Files below /proc have content and a size of 0.
            self._first = await self._conversation.read()
            self.size = None if self._first else 0

    def content(self) -> bytes | AsyncIterator[bytes] | None:
        """Return the request's content."""
        match self._command.content:
            case Text(data):
                return data
            case FromFile() if self.size == 0:
                return b""
            case FromFile():
                return self._upload(self._progress("up", self.size))
            case None:
                return None

    async def _upload(self, progress: Progress) -> AsyncIterator[bytes]:
        """Yield the command's input in pieces, as fast as the connection takes them.

        Raises:
            LocalProtocolError: The file ends before its size.
        """
        left = self.size
        while left is None or left > 0:
            data = self._first or await self._conversation.read()
            self._first = b""
            if not data:
                break
            if left is not None:
                data = data[:left]  # a log may have grown meanwhile
                left -= len(data)
            yield data
            await progress.moved(len(data))
        await progress.end()
        if left:
            raise LocalProtocolError(exits.FILE_SHRANK.format(left))

    async def show(self, response: AsyncResponse | StoredResponse) -> int:
        """Write the response as the command wants it; returns the exit code."""
        command, conversation = self._command, self._conversation
        if command.verbose:
            await conversation.say(_provenance(response))
        if command.include:
            await conversation.out(_heads(response, printable=self._to_terminal))
        if command.fail and response.status_code >= 400:
            await conversation.say(exits.STATUS.format(response.status_code))
            return exits.REQUEST_FAILED
        if not await self._show_content(response):
            await conversation.say(exits.BINARY)
            return exits.REQUEST_FAILED
        if command.include and response.trailers:
            await conversation.out(_tail(response, printable=self._to_terminal))
        return exits.OK

    async def _show_content(self, response: AsyncResponse | StoredResponse) -> bool:
        """Show the content; return false if it is binary and the user did not ask to show it."""
        progress = self._progress("down", _length(response))
        must_be_text = self._to_terminal and self._command.output == ""
        async for data in self._decoded(response):
            if must_be_text and BINARY in data:
                return False
            must_be_text = False  # what begins as text may go on as it likes
            await self._conversation.out(data)
            if not self._to_terminal:  # there, content and progress would mix
                await progress.moved(len(data))
        await progress.end()
        return True

    async def _decoded(self, response: AsyncResponse | StoredResponse) -> AsyncIterator[bytes]:
        """Yield the content, decoded if the user asked for that.

        Raises:
            RequestError: The content is not in the coding that its header names.
        """
        coding = response.headers.get("content-encoding", "")
        if not self._command.compressed or not coding:
            async for data in response.aiter_bytes():
                yield data
            return
        decoding = Decoding(coding)
        async for data in response.aiter_bytes():
            for part in decoding.feed(data):
                yield part
        decoding.end()

    def _progress(self, what: str, total: int | None) -> Progress:
        clock = asyncio.get_running_loop().time
        return Progress(self._conversation, self._request, what, total, clock)


def _length(response: AsyncResponse | StoredResponse) -> int | None:
    """Return the body's length from Content-Length."""
    length = response.headers.get("content-length", "")
    return int(length) if length.isascii() and length.isdecimal() else None


def _provenance(response: AsyncResponse | StoredResponse) -> str:
    if isinstance(response, StoredResponse):
        return f"{response.status_code}, hinted and fetched on stream {response.stream_id}"
    how = "pushed" if response.from_push else "requested"
    return f"{response.status_code}, {how} on stream {response.stream_id}"


def _heads(response: AsyncResponse | StoredResponse, *, printable: bool) -> bytes:
    """Status and fields of the response, and of those that came before it."""
    heads = [(one.status_code, one.headers) for one in response.informational]
    heads.append((response.status_code, response.headers))
    lines: list[bytes] = []
    for status, headers in heads:
        lines += [b"HTTP/2 %d" % status, *_lines(headers), b""]
    return _text(lines, printable=printable)


def _tail(response: AsyncResponse | StoredResponse, *, printable: bool) -> bytes:
    """Return the trailers, separated from content that does not end with a line feed."""
    return _text([b"", b"", *_lines(response.trailers)], printable=printable)


def _lines(headers: Headers) -> Iterator[bytes]:
    return (name + b": " + value for name, value in headers.raw)


def _text(lines: list[bytes], *, printable: bool) -> bytes:
    if printable:
        lines = [visible(line).encode() for line in lines]
    return b"".join(line + b"\n" for line in lines)


class Progress:
    """Count a body's bytes and show the progress.

    Args:
        what: `up` or `down`.
        total: The body's length, None if it is unknown.
        clock: Seconds that do not run backwards.
    """

    def __init__(
        self,
        conversation: Conversation,
        request: Request,
        what: str,
        total: int | None,
        clock: Callable[[], float],
    ) -> None:
        self._conversation = conversation
        width = max(request.width or _UNKNOWN_WIDTH, _NARROWEST)
        self._width = width - len("^C")  # which the terminal shows behind it
        self._unicode = request.unicode
        self._what = what
        self._total = total
        self._clock = clock
        self._began = clock()
        self._shown = self._began
        self._moved = 0
        self._is_shown = request.stderr_is_terminal and (total is None or total > LEAST)

    async def moved(self, octets: int) -> None:
        """So many more bytes were written or read."""
        self._moved += octets
        now = self._clock()
        if not self._is_shown or self._moved <= LEAST or now - self._shown < _INTERVAL:
            return
        self._shown = now
        await self._conversation.progress(self._line(now - self._began))

    async def end(self) -> None:
        """Erase the line."""
        if self._shown != self._began:
            await self._conversation.progress("")

    def _line(self, elapsed: float) -> str:
        rate = self._moved / elapsed
        moved = figures.size(self._moved)
        if self._total is None:
            return f"{self._what} {moved}, {figures.size(rate)}/s"[: self._width - 1]
        done = min(self._moved / self._total, 1.0) if self._total else 1.0
        left = figures.time(max(self._total - self._moved, 0) / rate)
        text = f"{moved} of {figures.size(self._total)}, {figures.size(rate)}/s, {left} left"
        start = f"{self._what} {done * 100:3.0f} %  "
        room = min(self._width - 1 - len(start) - len(text) - 2, _LONGEST_BAR)
        bar = f"{_bar(done, room, unicode=self._unicode)}  " if room >= 5 else ""
        return f"{start}{bar}{text}"[: self._width - 1]


def _bar(done: float, room: int, *, unicode: bool) -> str:
    full, empty = ("━", "─") if unicode else ("#", "-")
    filled = round(done * room)
    return full * filled + empty * (room - filled)
