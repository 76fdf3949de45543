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
from headstart.client.errors import IDEMPOTENT, RequestFailed, TimedOut
from headstart.client.exchange import Informed
from headstart.client.origin import Origin, split_url
from headstart.client.response import Response
from headstart.client.upgrade import FirstRequest
from headstart.client.uploads import Content
from headstart.h2c import exits
from headstart.h2c.daemon.conversation import Conversation, Request
from headstart.h2c.daemon.hinted import Kept
from headstart.h2c.daemon.progress import Progress
from headstart.h2c.daemon.session import Link, Session
from headstart.h2c.options.connections import Trust
from headstart.h2c.options.requests import Exchange, FromFile, Text
from headstart.wire.events import Fields
from headstart.wire.payloads import visible

_USER_AGENT = (b"user-agent", f"h2c/{__version__}".encode())
_ACCEPT = (b"accept", b"*/*")
_ATTEMPTS = 3
# What text does not have.
_BINARY = b"\0"


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

    def renew(self) -> None:
        """Something moved: time begins anew."""
        self._reschedule()

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
    must_be_text = request.stdout_is_terminal and command.output == ""
    fields = fields_of(command, session)
    asking = _Asking(command, session, origin, target, fields, must_be_text=must_be_text)
    kept = asking.kept()
    link = None if kept is not None else await asking.link()
    if link is not None and link.trust.insecure:
        await conversation.say(exits.INSECURE.format(link.connection.origin))
    if command.output not in ("", "-"):
        await conversation.open_output(command.output)
    size = None
    if isinstance(command.content, FromFile):
        size = await conversation.open_input(command.content.path)
    async with Patience(command.timeout) as patience:
        moving = _Moving(command, conversation, request, patience)
        if link is None:
            assert kept is not None
            return await moving.show(kept)
        if command.follow_hints:
            return await _following(asking, link, moving, conversation)
        return await asking.ask(link, moving.content(size), moving.show, moving.informed)


async def _following(
    asking: _Asking, link: Link, moving: _Moving, conversation: Conversation
) -> int:
    """Do the same, and fetch what a 103 names as soon as it comes."""
    # Imported when somebody wants it: it reads HTML and CSS, too.
    from headstart.h2c.daemon.load.following import Following

    url = f"{link.connection.origin}{asking.target}"
    async with Following(asking.session, asking.fields, url, asking.command.timeout) as following:

        def informed(status: int, fields: Fields) -> None:
            moving.informed(status, fields)
            following.informed(status, fields)

        code = await asking.ask(link, moving.content(None), moving.show, informed)
    for line in following.lines():
        await conversation.say(line)
    return code


class _Asking:
    """Sends the request, once more where the server surely did nothing about it."""

    def __init__(
        self,
        command: Exchange,
        session: Session,
        origin: Origin | None,
        target: str,
        fields: list[tuple[bytes, bytes]],
        *,
        must_be_text: bool,
    ) -> None:
        self.command = command
        self.must_be_text = must_be_text
        self.session = session
        self.target = target
        self.fields = fields
        self._origin = origin

    def kept(self) -> Kept | None:
        """A response that a 103 had named and that waits for this request."""
        command, session = self.command, self.session
        if not len(session.hinted) or command.content is not None or not command.use_pushes:
            return None
        origin = self._origin or session.current().connection.origin
        now = asyncio.get_running_loop().time()
        asked = (command.method, origin, self.target, self.fields, now)
        kept = session.hinted.find(*asked, stays=True)
        if kept is None or command.keep_push or (self.must_be_text and _BINARY in kept.content):
            return kept
        return session.hinted.find(*asked, stays=False)

    async def link(self) -> Link:
        """The connection for it."""
        command = self.command
        origin = self._origin or self.session.current().connection.origin
        if command.content is None and command.use_pushes:
            holds = partial(_holds, command, self.target, self.fields)
            waiting = self.session.waiting(origin, command.trust, holds)
            if waiting is not None:
                return waiting
        first = None
        if command.content is None:
            first = FirstRequest(command.method, self.target, self.fields)
        if self._origin is None and command.trust == Trust():
            return await self.session.use_current(command.timeout, first)
        return await self.session.use(origin, command.trust, command.timeout, first=first)

    async def ask(
        self,
        link: Link,
        content: Content,
        show: Callable[[Response], Awaitable[int]],
        informed: Informed | None = None,
    ) -> int:
        """Have the response shown; returns what `show` does."""
        response = await self._response(link, content, informed)
        try:
            return await show(response)
        finally:
            await response.aclose()

    async def _response(self, link: Link, content: Content, informed: Informed | None) -> Response:
        """Ask; again where the server has surely not acted on it (RFC 9113, 8.7).

        Once more, too, where the method allows it and the connection was dead before anybody knew
        (RFC 9110, 9.2.2).
        """
        # What is read from a file or a pipe cannot be read a second time.
        attempts = 1 if isinstance(self.command.content, FromFile) else _ATTEMPTS
        may_be_stale = self.command.method in IDEMPOTENT
        while True:
            attempts -= 1
            try:
                return await self._attempt(link, content, informed)
            except RequestFailed as error:
                is_stale = error.stale and may_be_stale
                if not attempts or (error.processed and not is_stale):
                    raise
                may_be_stale = may_be_stale and not is_stale
            # The same server, should another command have made another one the current one.
            self._origin = link.connection.origin
            link = await self.link()

    async def _attempt(self, link: Link, content: Content, informed: Informed | None) -> Response:
        return await link.connection.request(
            self.command.method,
            self.target,
            self.fields,
            content,
            timeout=None,
            use_pushes=self.command.use_pushes,
            keep_push=self.command.keep_push or self._is_refused_push(link.connection),
            informed=informed,
        )

    def _is_refused_push(self, connection: H2Connection) -> bool:
        """A pushed response that the terminal refuses waits there for `-o FILE`."""
        if not self.must_be_text:
            return False
        return _BINARY in connection.look_at_pushed(self.command.method, self.target, self.fields)


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

    def informed(self, status: int, fields: Fields) -> None:
        """A 1xx response came, which is a move."""
        del status, fields
        self._patience.renew()

    async def show(self, response: Response | Kept) -> int:
        """Write the response as the command wants it; returns the exit code."""
        self._patience.renew()
        command, conversation = self._command, self._conversation
        if command.verbose:
            await conversation.say(_provenance(response))
        if command.include:
            await conversation.out(_heads(response, printable=self._to_terminal))
        if command.fail and response.status >= 400:
            await conversation.say(exits.STATUS.format(response.status))
            return exits.REQUEST_FAILED
        if not await self._show_content(response):
            await conversation.say(exits.BINARY)
            return exits.REQUEST_FAILED
        if command.include and response.trailers:
            await conversation.out(_tail(response, printable=self._to_terminal))
        return exits.OK

    async def _show_content(self, response: Response | Kept) -> bool:
        """False where it is binary, and nobody said that a terminal should have it all the same."""
        progress = self._progress("down", _length(response))
        must_be_text = self._to_terminal and self._command.output == ""
        async for data in response.iter_bytes():
            if must_be_text and _BINARY in data:
                return False
            must_be_text = False  # what begins as text may go on as it likes
            with self._patience.paused():
                await self._conversation.out(data)
                if not self._to_terminal:  # there, content and progress would mix
                    await progress.moved(len(data))
        await progress.end()
        return True

    def _progress(self, what: str, total: int | None) -> Progress:
        clock = asyncio.get_running_loop().time
        return Progress(self._conversation, self._request, what, total, clock)


def _holds(
    command: Exchange, target: str, fields: list[tuple[bytes, bytes]], connection: H2Connection
) -> bool:
    """Whether a pushed response that answers the request waits there."""
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


def _length(response: Response | Kept) -> int | None:
    """What Content-Length says of the body."""
    length = response.header("content-length")
    return int(length) if length.isascii() and length.isdecimal() else None


def _provenance(response: Response | Kept) -> str:
    if isinstance(response, Kept):
        return f"{response.status}, hinted and fetched on stream {response.stream_id}"
    how = "pushed" if response.from_push else "requested"
    return f"{response.status}, {how} on stream {response.stream_id}"


def _heads(response: Response | Kept, *, printable: bool) -> bytes:
    """Status and fields of the response, and of those that came before it."""
    heads = [(status, headers) for _, status, headers in response.informational]
    heads.append((response.status, response.headers))
    lines: list[bytes] = []
    for status, headers in heads:
        lines += [b"HTTP/2 %d" % status, *_lines(headers), b""]
    return _text(lines, printable=printable)


def _tail(response: Response | Kept, *, printable: bool) -> bytes:
    """The trailers, apart from the content, which has no line feed of its own at its end."""
    return _text([b"", b"", *_lines(response.trailers)], printable=printable)


def _lines(fields: list[tuple[bytes, bytes]]) -> Iterator[bytes]:
    return (name + b": " + value for name, value in fields)


def _text(lines: list[bytes], *, printable: bool) -> bytes:
    if printable:
        lines = [visible(line).encode() for line in lines]
    return b"".join(line + b"\n" for line in lines)
