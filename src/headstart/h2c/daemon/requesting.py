"""A request and its response, for a command.

Sends the request on the right connection, moves its content from the command and the response's
content to it, octet by octet as they are, and gives up when nothing has moved for the time-out:
neither the response nor the request's content. The time that the command itself takes (a slow pipe,
a person who types) does not count. Called by `verbs`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial

from headstart import __version__
from headstart.client import failures
from headstart.client.attempts import Attempts
from headstart.client.connection import Http2ClientConnection
from headstart.client.contents import Content
from headstart.client.errors import IDEMPOTENT, ClientTimeoutError, RequestError
from headstart.client.headers import Headers
from headstart.client.origin import Origin, split_url
from headstart.client.response import AsyncResponse
from headstart.client.response_stream import Informed
from headstart.client.upgrade import FirstRequest
from headstart.errors import LocalProtocolError
from headstart.h2c import exits
from headstart.h2c.codings import Decoding
from headstart.h2c.daemon.conversation import Conversation, Request
from headstart.h2c.daemon.hinted import StoredResponse
from headstart.h2c.daemon.progress import Progress
from headstart.h2c.daemon.redirecting import location_of, redirected
from headstart.h2c.daemon.session import Link, Session
from headstart.h2c.options.connections import Trust
from headstart.h2c.options.requests import FromFile, RequestCommand, Text
from headstart.wire.payloads import visible

_USER_AGENT = (b"user-agent", f"h2c/{__version__}".encode())
_ACCEPT = (b"accept", b"*/*")
# What text does not have.
_BINARY = b"\0"


async def exchange(
    command: RequestCommand, session: Session, conversation: Conversation, request: Request
) -> int:
    """Send the command's request, show the response, and return the exit code.

    Args:
        request: The arguments and the terminal. Headers shown on a terminal contain no control
            characters; progress is shown if standard error is a terminal.
    """
    opened = False
    while True:
        code, after = await _exchange(command, session, conversation, request, opened=opened)
        if after is None:
            return code
        command, opened = after, True
        if command.verbose:
            await conversation.say(f"redirected to {command.where}")


async def _exchange(
    command: RequestCommand,
    session: Session,
    conversation: Conversation,
    request: Request,
    *,
    opened: bool,
) -> tuple[int, RequestCommand | None]:
    """Send one request; return the exit code, and the request that a redirection leads to.

    Args:
        opened: The file for the response is open.
    """
    origin, target = split_url(command.where)
    must_be_text = request.stdout_is_terminal and command.output == ""
    fields = fields_of(command, session)
    asking = _Asking(command, session, origin, target, fields, must_be_text=must_be_text)
    kept = asking.kept()
    link = None if kept is not None else await asking.link()
    if link is not None and link.trust.insecure:
        await conversation.say(exits.INSECURE.format(link.connection.origin))
    if command.output not in ("", "-") and not opened:
        await conversation.open_output(command.output)
    moving = _Moving(command, conversation, request)
    if isinstance(command.content, FromFile):
        await moving.open(command.content.path)
        asking.announce(moving.size)
    if link is None:
        assert kept is not None
        return await moving.show(kept), None
    moving.asked = link.connection.origin, target
    try:
        if command.follow_hints:
            return await _following(asking, link, moving, conversation), moving.redirected
        code = await asking.ask(link, moving.content(), moving.show)
        return code, moving.redirected
    except ClientTimeoutError:
        after = failures.after(link.connection.goaway)
        raise ClientTimeoutError(exits.NO_PROGRESS.format(command.timeout, after)) from None


async def _following(
    asking: _Asking, link: Link, moving: _Moving, conversation: Conversation
) -> int:
    """Send the request like `exchange`, and fetch resources named by a 103 as soon as it comes."""
    # Imported when somebody wants it: it reads HTML and CSS, too.
    from headstart.h2c.daemon.load.following import Following

    url = f"{link.connection.origin}{asking.target}"
    async with Following(asking.session, asking.fields, url, asking.command.timeout) as following:
        code = await asking.ask(link, moving.content(), moving.show, following.informed)
    for line in following.lines():
        await conversation.say(line)
    return code


class _Asking:
    """Sends the request, once more where the server surely did nothing about it."""

    def __init__(
        self,
        command: RequestCommand,
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

    def announce(self, size: int | None) -> None:
        """Send the size of the content as Content-Length, unless the user said another."""
        if size is not None and not any(name == b"content-length" for name, _ in self.fields):
            self.fields.append((b"content-length", b"%d" % size))

    def kept(self) -> StoredResponse | None:
        """Return a stored response for this request that a 103 named."""
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
        """Return the connection for the request."""
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
        show: Callable[[AsyncResponse], Awaitable[int]],
        informed: Informed | None = None,
    ) -> int:
        """Send the request, pass the response to `show`, and return its result."""
        response = await self._response(link, content, informed)
        try:
            return await show(response)
        finally:
            await response.aclose()

    async def _response(
        self, link: Link, content: Content, informed: Informed | None
    ) -> AsyncResponse:
        """Ask; again where the server has surely not acted on it (RFC 9113, 8.7).

        Once more, too, where the method allows it and the connection was dead before anybody knew
        (RFC 9110, 9.2.2).
        """
        # What is read from a file or a pipe cannot be read a second time.
        is_repeatable = not isinstance(self.command.content, FromFile)
        attempts = Attempts()
        may_be_stale = self.command.method in IDEMPOTENT
        while True:
            try:
                return await self._attempt(link, content, informed)
            except RequestError as error:
                is_stale = error.stale and may_be_stale
                if not is_repeatable or (error.processed and not is_stale):
                    raise
                if not attempts.another(error, link.connection):
                    raise
                may_be_stale = may_be_stale and not is_stale
            # The same server, should another command have made another one the current one.
            self._origin = link.connection.origin
            link = await self.link()

    async def _attempt(
        self, link: Link, content: Content, informed: Informed | None
    ) -> AsyncResponse:
        return await link.connection.request(
            self.command.method,
            self.target,
            self.fields,
            content,
            timeout=self.command.timeout,
            use_pushes=self.command.use_pushes,
            keep_push=self.command.keep_push or self._is_refused_push(link.connection),
            informed=informed,
        )

    def _is_refused_push(self, connection: Http2ClientConnection) -> bool:
        """Return true if the terminal refuses a pushed response, which then stays for `-o FILE`."""
        if not self.must_be_text:
            return False
        return _BINARY in connection.look_at_pushed(self.command.method, self.target, self.fields)


class _Moving:
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
        self.asked: tuple[Origin, str] | None = None
        """The server and the target of the request."""
        self.redirected: RequestCommand | None = None
        """The request that the response leads to."""
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
        if self.asked is not None:
            location = location_of(response.headers.raw)
            self.redirected = redirected(command, *self.asked, response.status_code, location)
            if self.redirected is not None:
                return exits.OK
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
            if must_be_text and _BINARY in data:
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


def _holds(
    command: RequestCommand,
    target: str,
    fields: list[tuple[bytes, bytes]],
    connection: Http2ClientConnection,
) -> bool:
    """Return true if the connection holds a pushed response for the request."""
    scheme, authority = connection.origin.scheme.encode(), connection.origin.authority
    now = connection.now()
    pushed = connection.pushes.find(command.method, scheme, authority, target.encode(), fields, now)
    return pushed is not None


def fields_of(command: RequestCommand, session: Session) -> list[tuple[bytes, bytes]]:
    """Return the request's headers: typed ones replace those of `h2c set`, which replace ours."""
    fields = list(command.headers)
    for layer in (session.fields, [_USER_AGENT, _ACCEPT]):
        named = {name for name, _ in fields}
        fields += [field for field in layer if field[0] not in named]
    return fields


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
