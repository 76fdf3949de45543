"""Run `h2c load` and `get --follow-hints`.

`load` fetches a page with its assets and shows how they arrived. `Following` fetches the resources
that a 103 names and keeps them for a later `get`. Called by `service` and `requesting`, which
import it when it is first used.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from types import TracebackType

from headstart import figures
from headstart.client.origin import Origin, split_url
from headstart.client.response import AsyncResponse
from headstart.config import ClientLimits
from headstart.h2c import exits
from headstart.h2c.daemon.conversation import Conversation, Request
from headstart.h2c.daemon.load.loader import Loader, Settings
from headstart.h2c.daemon.load.picture import picture
from headstart.h2c.daemon.load.report import (
    UNKNOWN_WIDTH,
    Style,
    as_json,
    ignored_hints,
    label,
    notes,
    sentence,
    table,
    wrapped,
)
from headstart.h2c.daemon.load.resource import Load, Resource
from headstart.h2c.daemon.session import Session, StoredResponse
from headstart.h2c.failures import exit_code, explanation
from headstart.h2c.options.connections import Trust
from headstart.h2c.options.loading import LoadPage
from headstart.h2c.options.requests import is_like_a_host
from headstart.wire.events import Fields

_LIMITS = ClientLimits()


async def load(
    command: LoadPage, session: Session, conversation: Conversation, request: Request
) -> int:
    """Load the page and return the exit code.

    Raises:
        HeadstartError: The page's server cannot be reached.
    """
    url = await _url(command, session, conversation)
    if command.allow_pushes:
        return await _loaded(command, session, url, conversation, request)
    async with session.without_push() as pushless:
        return await _loaded(command, pushless, url, conversation, request)


async def _loaded(
    command: LoadPage, session: Session, url: str, conversation: Conversation, request: Request
) -> int:
    if command.waterfall:
        await conversation.open_picture(command.waterfall)
    async with Loader(session, settings(command, session), url) as loader:
        loader.page()
    loaded = any(one.status for one in loader.result.resources)
    # A file that is not closed is not kept: an old picture stays if there is nothing to draw. The
    # JSON is for standard output, which comes after the file.
    if command.waterfall and (loaded or command.json):
        await conversation.out(picture(loader.result))
        await conversation.close_output()
    if loader.problem is not None:
        await conversation.say(explanation(loader.problem))
        if command.json or loaded:
            await _show(command, loader.result, conversation, request)
        return exit_code(loader.problem)
    await _show(command, loader.result, conversation, request)
    return await _outcome(command, loader.result, conversation)


async def _url(command: LoadPage, session: Session, conversation: Conversation) -> str:
    """Return the page's absolute URL, and say how its argument is taken."""
    origin, target = split_url(command.where)
    if origin is None:
        origin = session.current().connection.origin
        if is_like_a_host(command.where):
            await conversation.say(exits.TAKEN_FOR_PATH.format(command.where, origin))
    if command.trust.insecure:
        await conversation.say(exits.INSECURE.format(origin))
    return f"{origin}{target}"


def settings(command: LoadPage, session: Session) -> Settings:
    """Return the load's settings; typed headers replace those of `h2c set`."""
    named = {name for name, _ in command.headers}
    kept = [field for field in session.fields if field[0] not in named]
    return Settings(
        fields=(*command.headers, *kept),
        trust=command.trust,
        timeout=command.timeout,
        use_pushes=command.use_pushes,
        use_hints=command.use_hints,
        max_resources=command.max_resources,
        max_bytes=command.max_bytes,
    )


async def _show(
    command: LoadPage, result: Load, conversation: Conversation, request: Request
) -> None:
    if command.json:
        await conversation.print(as_json(result))
        return
    colour = request.stdout_is_terminal and request.colour
    style = Style(request.width or UNKNOWN_WIDTH, request.unicode, colour)
    told = [sentence(result), *notes(result)]
    if request.stdout_is_terminal:
        told = [part for line in told for part in wrapped(line, style.width)]
    for line in [*table(result, style), "", *told]:
        await conversation.print(line)


async def _outcome(command: LoadPage, result: Load, conversation: Conversation) -> int:
    wrong = [one for one in result.resources if one.error or (command.fail and not one.is_good)]
    if wrong:
        await conversation.say(exits.NOT_ALL_CAME.format(len(wrong), len(result.resources)))
    return exits.REQUEST_FAILED if wrong else exits.OK


class Following:
    """Fetches in its body, whose end waits until all is there.

    Args:
        fields: Of the request for the page; those that a user sets are sent with the others, too.
        url: The page's.
    """

    def __init__(self, session: Session, fields: Fields, url: str, timeout: float) -> None:
        settings = Settings(
            fields=tuple(field for field in fields if field[0] not in (b"accept", b"host")),
            trust=Trust(),
            timeout=timeout,
            use_pushes=True,
            use_hints=True,
            max_resources=_LIMITS.max_pushes,
            max_bytes=_LIMITS.max_push_bytes,
        )
        self._session = session
        self._url = url
        self._loader = Loader(session, settings, url, self._keep)

    async def __aenter__(self) -> Following:
        await self._loader.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._loader.__aexit__(kind, error, traceback)

    def informed(self, status: int, fields: Fields) -> None:
        """Handle an informational response to the page."""
        self._loader.informed(self._url, status, fields)

    def lines(self) -> Iterator[str]:
        """Return a line for each fetched resource, and whether it is kept for the next `get`."""
        for one in self._loader.result.resources:
            yield f"hinted: {label(self._loader.result, one)}: {_outcome_of_hint(one)}"

    def explanations(self, pushes: int) -> Iterator[str]:
        """Return lines with the reasons why nothing, or not all that was named, was fetched.

        Args:
            pushes: The number of responses that the server pushed with the page.
        """
        result = self._loader.result
        yield from ignored_hints(result)
        if result.skipped:
            yield f"hint not followed: {len(result.skipped)} more than {_LIMITS.max_pushes}"
        if not result.early:
            told = "no 103 came, so there were no hints to follow"
            yield f"{told}; the server pushed instead: `h2c push-list`" if pushes else told
        elif not any(early.links or early.ignored for early in result.early):
            yield "a 103 came, but it names nothing"

    def _keep(
        self, origin: Origin, target: str, asked: Fields, response: AsyncResponse, content: bytes
    ) -> None:
        from headstart.learn.safety import lifetime

        now = asyncio.get_running_loop().time()
        seconds = lifetime(response.headers.get("cache-control", ""))
        expires = now + (_LIMITS.max_push_age if seconds is None else seconds)
        kept = StoredResponse(
            response.status_code, response.headers, content, response.stream_id, expires
        )
        self._session.hinted.keep(origin, target, asked, kept, now)


def _outcome_of_hint(one: Resource) -> str:
    if one.error:
        return one.error
    took = figures.time((one.ended or one.started) - one.started)
    how = "was pushed" if one.way == "push" else "waits for the next get"
    if not one.reusable:
        how = "not kept, since its status or Cache-Control forbids it"
    return f"{one.status}, {figures.size(one.size)} in {took}, {how}"
