"""A request and its response, for a command.

Sends the request on the right connection, moves its content from the command and the response's
content to it, octet by octet as they are, and gives up when nothing has moved for the time-out; the
time that the command itself takes (a slow pipe, a person who types) does not count. Called by
`verbs`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import TracebackType

from headstart import __version__
from headstart.client.connection import H2Connection
from headstart.client.errors import RequestFailed, TimedOut
from headstart.client.origin import Origin, split_url
from headstart.client.response import Response
from headstart.client.uploads import Content
from headstart.h2c import exits
from headstart.h2c.conversation import Conversation, Request
from headstart.h2c.options.requests import Exchange, FromFile, Text
from headstart.h2c.progress import Progress
from headstart.h2c.session import Link, Session, Usable
from headstart.wire.payloads import visible

_USER_AGENT = (b"user-agent", f"h2c/{__version__}".encode())
_ACCEPT = (b"accept", b"*/*")
_ATTEMPTS = 3


class Patience:
    """Raises `TimedOut` in its body when nothing has moved for so many seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._timeout = asyncio.timeout(seconds)
        self._pauses = 0
        self._is_over = False

    async def __aenter__(self) -> Patience:
        await self._timeout.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._is_over = True
        try:
            await self._timeout.__aexit__(kind, error, traceback)
        except TimeoutError:
            raise TimedOut(exits.NO_PROGRESS.format(self._seconds)) from None

    @contextmanager
    def paused(self) -> Iterator[None]:
        """In its body it is the command's turn, and time does not count; then it begins anew."""
        self._pauses += 1
        self._reschedule()
        try:
            yield
        finally:
            self._pauses -= 1
            self._reschedule()

    def _reschedule(self) -> None:
        if self._is_over or self._timeout.expired():
            return
        now = asyncio.get_running_loop().time()
        self._timeout.reschedule(None if self._pauses else now + self._seconds)


async def exchange(
    command: Exchange, session: Session, conversation: Conversation, request: Request
) -> int:
    """Do what the command says; returns its exit code.

    Args:
        request: Where the user typed it: fields that are shown on a terminal hold nothing that it
            would obey, and where its standard error is one, progress is shown there.
    """
    origin, target = split_url(command.where)
    fields = fields_of(command, session)
    usable = partial(_can_answer, command, target, fields)
    link = await _link(command, origin, session, usable)
    if link.trust.insecure:
        await conversation.say(exits.INSECURE.format(link.connection.origin))
    if command.output not in ("", "-"):
        await conversation.open_output(command.output)
    size = None
    if isinstance(command.content, FromFile):
        size = await conversation.open_input(command.content.path)
    async with Patience(command.timeout) as patience:
        moving = _Moving(command, conversation, request, patience)
        content = moving.content(size)
        again = partial(
            session.connect, link.connection.origin, link.trust, command.timeout, usable
        )
        response = await _ask(command, target, fields, content, link, again)
        try:
            return await moving.show(response)
        finally:
            await response.aclose()


async def _ask(
    command: Exchange,
    target: str,
    fields: list[tuple[bytes, bytes]],
    content: Content,
    link: Link,
    again: Callable[[], Awaitable[Link]],
) -> Response:
    """Ask; again where the server has surely not acted on it (RFC 9113, 8.7).

    Args:
        again: Connects to the same server where the connection takes no new requests.
    """
    # What is read from a file or a pipe cannot be read a second time.
    attempts = 1 if isinstance(command.content, FromFile) else _ATTEMPTS
    while True:
        attempts -= 1
        try:
            return await link.connection.request(
                command.method,
                target,
                fields,
                content,
                timeout=None,
                use_pushes=command.use_pushes,
                keep_push=command.keep_push,
            )
        except RequestFailed as error:
            if error.processed or not attempts:
                raise
        link = await again()


class _Moving:
    """Moves content from the command to the request, and the response to the command."""

    def __init__(
        self, command: Exchange, conversation: Conversation, request: Request, patience: Patience
    ) -> None:
        self._command = command
        self._conversation = conversation
        self._request = request
        self._patience = patience
        self._to_terminal = request.stdout_is_terminal and command.output in ("", "-")

    def content(self, size: int | None) -> bytes | AsyncIterator[bytes] | None:
        """The request's content.

        Args:
            size: Of the file that it is in, if that is known.
        """
        match self._command.content:
            case Text(data):
                return data
            case FromFile():
                return self._upload(self._progress("up", size))
            case None:
                return None

    async def _upload(self, progress: Progress) -> AsyncIterator[bytes]:
        """The command's input, piece by piece, as the connection takes it."""
        while True:
            with self._patience.paused():
                data = await self._conversation.read()
            if not data:
                await progress.end()
                return
            yield data
            await progress.moved(len(data))

    async def show(self, response: Response) -> int:
        """Write the response as the command wants it; returns the exit code."""
        command, conversation = self._command, self._conversation
        if command.verbose:
            await conversation.say(_provenance(response))
        if command.fail and response.status >= 400:
            await conversation.say(exits.STATUS.format(response.status))
            return exits.REQUEST_FAILED
        if command.include:
            await conversation.out(_heads(response, printable=self._to_terminal))
        await self._show_content(response)
        if command.include and response.trailers:
            await conversation.out(_tail(response, printable=self._to_terminal))
        return exits.OK

    async def _show_content(self, response: Response) -> None:
        progress = self._progress("down", _length(response))
        async for data in response.iter_bytes():
            with self._patience.paused():
                await self._conversation.out(data)
                if not self._to_terminal:  # there, content and progress would mix
                    await progress.moved(len(data))
        await progress.end()

    def _progress(self, what: str, total: int | None) -> Progress:
        clock = asyncio.get_running_loop().time
        return Progress(self._conversation, self._request, what, total, clock)


async def _link(command: Exchange, origin: Origin | None, session: Session, usable: Usable) -> Link:
    if origin is None:
        return await session.use_current(command.timeout, usable)
    return await session.use(origin, command.trust, command.timeout, usable)


def _can_answer(
    command: Exchange, target: str, fields: list[tuple[bytes, bytes]], connection: H2Connection
) -> bool:
    """Whether the request can be made there; a push that waits outlives its connection."""
    if connection.available:
        return True
    if command.content is not None or not command.use_pushes:
        return False
    scheme, authority = connection.origin.scheme.encode(), connection.origin.authority
    now = connection.now()
    pushed = connection.pushes.find(command.method, scheme, authority, target.encode(), fields, now)
    return pushed is not None


def fields_of(command: Exchange, session: Session) -> list[tuple[bytes, bytes]]:
    """The request's fields: what the user says replaces what is set, and that replaces ours."""
    fields = list(command.headers)
    for layer in (session.fields, [_USER_AGENT, _ACCEPT]):
        named = {name for name, _ in fields}
        fields += [field for field in layer if field[0] not in named]
    return fields


def _length(response: Response) -> int | None:
    """What Content-Length says of the body."""
    length = response.header("content-length")
    return int(length) if length.isascii() and length.isdecimal() else None


def _provenance(response: Response) -> str:
    how = "pushed" if response.from_push else "requested"
    return f"{response.status}, {how} on stream {response.stream_id}"


def _heads(response: Response, *, printable: bool) -> bytes:
    """Status and fields of the response, and of those that came before it."""
    heads = [(status, headers) for _, status, headers in response.informational]
    heads.append((response.status, response.headers))
    lines: list[bytes] = []
    for status, headers in heads:
        lines += [b"HTTP/2 %d" % status, *_lines(headers), b""]
    return _text(lines, printable=printable)


def _tail(response: Response, *, printable: bool) -> bytes:
    """The trailers, apart from the content, which has no line feed of its own at its end."""
    return _text([b"", b"", *_lines(response.trailers)], printable=printable)


def _lines(fields: list[tuple[bytes, bytes]]) -> Iterator[bytes]:
    return (name + b": " + value for name, value in fields)


def _text(lines: list[bytes], *, printable: bool) -> bytes:
    if printable:
        lines = [visible(line).encode() for line in lines]
    return b"".join(line + b"\n" for line in lines)
