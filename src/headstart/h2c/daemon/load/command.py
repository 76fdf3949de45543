"""Run `h2c load`: fetch a page with its assets, and show how they arrived.

Called by `verbs`, which imports it when it is first used.
"""

from __future__ import annotations

from headstart.client.origin import split_url
from headstart.h2c import exits
from headstart.h2c.daemon.conversation import Conversation, Request
from headstart.h2c.daemon.load import report
from headstart.h2c.daemon.load.loader import Loader, Settings
from headstart.h2c.daemon.load.picture import picture
from headstart.h2c.daemon.load.resource import Load
from headstart.h2c.daemon.load.table import UNKNOWN_WIDTH, Style, table
from headstart.h2c.daemon.session import Session
from headstart.h2c.failures import exit_code, explanation
from headstart.h2c.options.loading import LoadPage


async def load(
    command: LoadPage, session: Session, conversation: Conversation, request: Request
) -> int:
    """Load the page and return the exit code.

    Raises:
        HeadstartError: The page's server cannot be reached.
    """
    url = await _connected(command, session, conversation)
    if command.waterfall:
        await conversation.open_output(command.waterfall)
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


async def _connected(command: LoadPage, session: Session, conversation: Conversation) -> str:
    """Connect to the page's origin, make it current, and return the page's absolute URL."""
    origin, target = split_url(command.where)
    if origin is None:
        origin = session.current().connection.origin
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
        await conversation.print(report.as_json(result))
        return
    colour = request.stdout_is_terminal and request.colour
    style = Style(request.width or UNKNOWN_WIDTH, request.unicode, colour)
    told = [report.sentence(result), *report.notes(result)]
    if request.stdout_is_terminal:
        told = [part for line in told for part in report.wrapped(line, style.width)]
    for line in [*table(result, style), "", *told]:
        await conversation.print(line)


async def _outcome(command: LoadPage, result: Load, conversation: Conversation) -> int:
    wrong = [one for one in result.resources if one.error or (command.fail and not one.is_good)]
    if wrong:
        await conversation.say(exits.NOT_ALL_CAME.format(len(wrong), len(result.resources)))
    return exits.REQUEST_FAILED if wrong else exits.OK
