"""A request and its response, for a command.

Sends the request on the right connection, once more where the server surely did nothing about it,
and follows redirections for `-L` (RFC 9110, 15.4). Gives up when nothing has moved for the
time-out: neither the response nor the request's content. The time that the command itself takes (a
slow pipe, a person who types) does not count. Called by `service`; for Location by `load`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from functools import partial
from urllib.parse import urldefrag, urljoin

from headstart import __version__
from headstart.client import failures
from headstart.client.attempts import Attempts
from headstart.client.connection import Http2ClientConnection
from headstart.client.contents import Content
from headstart.client.errors import ClientTimeoutError, RequestError
from headstart.client.origin import Origin, split_url
from headstart.client.response import AsyncResponse
from headstart.client.response_stream import Informed
from headstart.client.upgrade import FirstRequest
from headstart.errors import LocalProtocolError
from headstart.h2c import exits
from headstart.h2c.daemon.conversation import Conversation, Request
from headstart.h2c.daemon.session import Link, Session, StoredResponse
from headstart.h2c.daemon.transfer import BINARY, Transfer
from headstart.h2c.options.connections import Trust
from headstart.h2c.options.requests import FromFile, RequestCommand, is_like_a_host

_USER_AGENT = (b"user-agent", f"h2c/{__version__}".encode())
_ACCEPT = (b"accept", b"*/*")
# Servers send a 103 to those that ask for a page as browsers do.
_ACCEPT_PAGE = (b"accept", b"text/html,*/*;q=0.8")
_ALREADY_HINTED = (
    "the response was hinted before, so nothing is asked and no 103 comes; --no-push-cache asks"
)
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_SAME_METHOD = frozenset({307, 308})
_OF_CONTENT = frozenset({b"content-type", b"content-length", b"content-encoding"})
# Credentials for one server are not for another one, as in curl and browsers.
_OF_ORIGIN = frozenset({b"authorization", b"cookie", b"proxy-authorization", b"host"})


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
    if link is not None and origin is None and is_like_a_host(command.where):
        await conversation.say(exits.TAKEN_FOR_PATH.format(command.where, link.connection.origin))
    if command.output not in ("", "-") and not opened:
        await conversation.open_output(command.output)
    transfer = Transfer(command, conversation, request)
    if isinstance(command.content, FromFile):
        await transfer.open(command.content.path)
        asking.announce(transfer.size)
    if link is None:
        assert kept is not None
        if command.follow_hints and command.verbose:
            await conversation.say(_ALREADY_HINTED)
        return await transfer.show(kept), None
    try:
        if command.follow_hints:
            code = await _following(asking, link, transfer, conversation)
        else:
            code = await asking.ask(link, transfer.content(), transfer.show)
        return code, asking.redirected
    except ClientTimeoutError:
        after = failures.after(link.connection.goaway)
        raise ClientTimeoutError(exits.NO_PROGRESS.format(command.timeout, after)) from None


async def _following(
    asking: _Asking, link: Link, transfer: Transfer, conversation: Conversation
) -> int:
    """Send the request like `exchange`, and fetch resources named by a 103 as soon as it comes."""
    # Imported when somebody wants it: it reads HTML and CSS, too.
    from headstart.h2c.daemon.load.command import Following

    url = f"{link.connection.origin}{asking.target}"
    before = _pushed(link.connection)
    async with Following(asking.session, asking.fields, url, asking.command.timeout) as following:
        code = await asking.ask(link, transfer.content(), transfer.show, following.informed)
    for line in following.lines():
        await conversation.say(line)
    if asking.command.verbose:
        for line in following.explanations(len(_pushed(link.connection) - before)):
            await conversation.say(line)
    return code


def _pushed(connection: Http2ClientConnection) -> set[int]:
    """Return the streams of the pushed responses that wait."""
    return {pushed.stream_id for pushed in connection.pushes.listing(connection.now())}


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
        self.redirected: RequestCommand | None = None
        """The request that the response leads to."""

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
        if kept is None or command.keep_push or (self.must_be_text and BINARY in kept.content):
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
        """Send the request, pass the response to `show`, and return its result.

        A response that leads to another request is not shown: that request is `redirected`.
        """
        response = await self._response(link, content, informed)
        try:
            location = location_of(response.headers.raw)
            asked = self.command, link.connection.origin, self.target
            self.redirected = redirected(*asked, response.status_code, location)
            return exits.OK if self.redirected is not None else await show(response)
        finally:
            await response.aclose()

    async def _response(
        self, link: Link, content: Content, informed: Informed | None
    ) -> AsyncResponse:
        """Send the request, and again as `Attempts` allows."""
        attempts = Attempts(self.command.method, content, shows_losses=True)
        while True:
            try:
                return await self._attempt(link, content, informed)
            except RequestError as error:
                if not attempts.another(error, link.connection):
                    raise
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
        return BINARY in connection.look_at_pushed(self.command.method, self.target, self.fields)


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
    accept = _ACCEPT_PAGE if command.follow_hints else _ACCEPT
    for layer in (session.fields, [_USER_AGENT, accept]):
        named = {name for name, _ in fields}
        fields += [field for field in layer if field[0] not in named]
    return fields


def location_of(fields: Iterable[tuple[bytes, bytes]]) -> str:
    """Return the value of Location, "" if there is none.

    Browsers and curl decode non-ASCII bytes as UTF-8. Other bytes are percent-encoded.
    """
    values = (value for name, value in fields if name == b"location")
    return next(values, b"").decode("utf-8", "surrogateescape")


def redirected(
    command: RequestCommand, origin: Origin, target: str, status: int, location: str
) -> RequestCommand | None:
    """Return the request that a response leads to, or None if the response is the last one.

    Raises:
        ConfigurationError: Location is not a URL of http or https.
        LocalProtocolError: The content came from a file and would have to be sent again.
    """
    if not command.redirections or status not in _REDIRECTS or not location:
        return None
    try:
        where = urldefrag(urljoin(f"{origin}{target}", location)).url
    except ValueError:  # brackets without an address between them
        where = location
    method, content, headers = command.method, command.content, command.headers
    if status not in _SAME_METHOD and method not in ("GET", "HEAD"):
        # RFC 9110, 15.4.4 for 303; 301 and 302 are followed as curl and browsers follow them.
        method, content = "GET", None
        headers = tuple(field for field in headers if field[0] not in _OF_CONTENT)
    if isinstance(content, FromFile):
        raise LocalProtocolError(
            f"the server leads to {where}, but the content of a file can be sent only once",
            hint="Send the request to that URL.",
        )
    if split_url(where)[0] != origin:
        headers = tuple(field for field in headers if field[0] not in _OF_ORIGIN)
    return replace(
        command,
        method=method,
        where=where,
        content=content,
        headers=headers,
        redirections=command.redirections - 1,
    )
