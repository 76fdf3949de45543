"""Serve one command, from its first frame to its exit code.

`Service` checks the command's version, parses its arguments, runs it, and turns every failure into
one line and an exit code. When the command disconnects (Ctrl-C), its work is cancelled. `perform`
takes the command as parsed by `options`, the session and the conversation, and returns an exit
code; failures are raised. Requests are run by `requesting`. Made by `process`.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import replace
from typing import Any, assert_never

from headstart import __version__
from headstart.client.failures import proxies_of_user
from headstart.client.origin import Origin
from headstart.errors import HeadstartError
from headstart.h2c import exits, options
from headstart.h2c.daemon import reports
from headstart.h2c.daemon.conversation import Conversation, Request
from headstart.h2c.daemon.ping import ping
from headstart.h2c.daemon.requesting import exchange
from headstart.h2c.daemon.session import Session
from headstart.h2c.failures import exit_code, explanation
from headstart.h2c.options import Command, HelpWanted
from headstart.h2c.options.connections import (
    Connect,
    Connections,
    Disconnect,
    Ping,
    PushList,
    StreamInfo,
    Trust,
)
from headstart.h2c.options.grammar import octets
from headstart.h2c.options.loading import LoadPage
from headstart.h2c.options.process import Completion, Pid, Start, Stop, Version, Wiretap
from headstart.h2c.options.requests import RequestCommand, SetField, UnsetField

_LOG = logging.getLogger(__name__)

# Understood by every version, so that the user can get rid of an old background process.
_OF_ANY_VERSION = (("stop",), ("pid",))


class Service:
    """Answers one command.

    Args:
        stop: Ends the background process; returns when the socket is gone.
        log: The path told to the user when something unexpected happens.
    """

    def __init__(self, session: Session, stop: Callable[[], Awaitable[None]], log: str) -> None:
        self._session = session
        self._stop = stop
        self._log = log

    async def answer(self, conversation: Conversation) -> None:
        """Answer the command on this connection.

        Raises:
            ConnectionError, EOFError: The command hung up.
        """
        try:
            request = await conversation.request()
            await conversation.heard()
            answer = self._answer(request, conversation)
            code = await _unless_hung_up(answer, conversation.listen())
        except HeadstartError as error:  # its frames made no sense
            await conversation.say(explanation(error))
            code = exit_code(error)
        except asyncio.CancelledError as ended:
            await conversation.say(str(ended) or exits.ENDING)
            code = exits.NOT_CONNECTED
        await conversation.exit(code)

    async def _answer(self, request: Request, conversation: Conversation) -> int:
        """Do as the command says; returns its exit code."""
        if request.version != __version__ and request.arguments not in _OF_ANY_VERSION:
            await conversation.say(exits.OTHER_VERSION.format(__version__, request.version))
            return exits.NOT_CONNECTED
        proxies_of_user.set(request.proxies)
        try:
            return await self._perform(request, conversation)
        except HelpWanted as wanted:
            await conversation.out(str(wanted).encode())
            return exits.OK
        except HeadstartError as error:
            await conversation.say(explanation(error))
            return exit_code(error)
        except (ConnectionError, EOFError):
            raise
        except Exception as error:
            _LOG.exception("a command failed")
            await conversation.say(exits.INTERNAL.format(type(error).__name__, self._log))
            return exits.REQUEST_FAILED

    async def _perform(self, request: Request, conversation: Conversation) -> int:
        command = options.parse(request.arguments)
        match command:
            case Stop():
                await self._stop()
                return exits.OK
            case Pid():
                await conversation.print(str(os.getpid()))
                return exits.OK
            case _:
                return await perform(command, self._session, conversation, request)


async def _unless_hung_up(
    answer: Coroutine[Any, Any, int], listen: Coroutine[Any, Any, None]
) -> int:
    """Return the command's exit code; cancel it if the command disconnects first.

    Raises:
        ConnectionResetError: The command hung up.
    """
    answering = asyncio.ensure_future(answer)
    listening = asyncio.ensure_future(listen)
    try:
        await asyncio.wait((answering, listening), return_when=asyncio.FIRST_COMPLETED)
        if answering.done():
            return answering.result()
        listening.result()
        raise ConnectionResetError("the command hung up")
    finally:
        answering.cancel()
        listening.cancel()
        await asyncio.gather(answering, listening, return_exceptions=True)


async def perform(
    command: Command, session: Session, conversation: Conversation, request: Request
) -> int:
    """Do one command.

    Args:
        request: Where the user typed it.
    """
    match command:
        case Connect():
            return await _connect(command, session, conversation, request.folder)
        case RequestCommand():
            trust = _resolved(command.trust, request.folder)
            return await exchange(replace(command, trust=trust), session, conversation, request)
        case LoadPage():
            return await _load(command, session, conversation, request)
        case Disconnect():
            return await _disconnect(session, conversation)
        case Ping():
            return await ping(command, session, conversation)
        case SetField():
            return await _set(command, session, conversation)
        case UnsetField():
            return await _unset(command, session, conversation)
        case Connections() | PushList() | StreamInfo():
            return await _list(command, session, conversation)
        case Version():
            await conversation.print(f"h2c {__version__}")
            return exits.OK
        case Start() | Stop() | Pid() | Wiretap() | Completion():
            raise AssertionError(f"{command} concerns the process and is not done here")
        case _:
            assert_never(command)


def _resolved(trust: Trust, folder: str) -> Trust:
    """With the paths of its files as the user meant them."""
    paths = trust.cafile, trust.certfile, trust.keyfile
    cafile, certfile, keyfile = (os.path.join(folder, path) if path else "" for path in paths)
    return replace(trust, cafile=cafile, certfile=certfile, keyfile=keyfile)


async def _connect(
    command: Connect, session: Session, conversation: Conversation, folder: str
) -> int:
    origin = Origin.parse(command.origin)
    if command.trust.insecure:
        await conversation.say(exits.INSECURE.format(origin))
    trust = _resolved(command.trust, folder)
    link = await session.connect(origin, trust, command.timeout, upgrade=command.upgrade)
    await conversation.print(reports.agreement(link.connection))
    if command.verbose:
        for line in reports.settings(link.connection):
            await conversation.print(line)
    return exits.OK


async def _load(
    command: LoadPage, session: Session, conversation: Conversation, request: Request
) -> int:
    # What reads HTML and CSS is imported when somebody wants it.
    from headstart.h2c.daemon.load.command import load

    trust = _resolved(command.trust, request.folder)
    return await load(replace(command, trust=trust), session, conversation, request)


async def _disconnect(session: Session, conversation: Conversation) -> int:
    await session.disconnect()
    if session.is_connected:
        name = session.current().connection.origin
        await conversation.say(exits.NOW_CURRENT.format(name))
    return exits.OK


async def _set(command: SetField, session: Session, conversation: Conversation) -> int:
    if command.field is not None:
        session.fields.append(command.field)
        return exits.OK
    for name, value in session.fields:
        await conversation.out(name + b": " + value + b"\n")
    return exits.OK


async def _unset(command: UnsetField, session: Session, conversation: Conversation) -> int:
    name = octets(command.name).lower()
    value = None if command.value is None else octets(command.value)
    kept = [field for field in session.fields if field[0] != name or value not in (None, field[1])]
    if kept == session.fields:
        typed = command.name if command.value is None else f"{command.name}: {command.value}"
        await conversation.say(exits.NOT_SET.format(typed))
    session.fields[:] = kept
    return exits.OK


async def _list(
    command: Connections | PushList | StreamInfo, session: Session, conversation: Conversation
) -> int:
    match command:
        case Connections():
            lines: Iterable[str] = reports.connections(session.links())
        case PushList():
            lines = _pushes(command, session)
        case StreamInfo():
            connection = session.current().connection
            infos = connection.streams(closed=command.closed)
            lines = reports.streams(infos, connection.windows if command.verbose else None)
        case _:
            assert_never(command)
    for line in lines:
        await conversation.print(line)
    return exits.OK


def _pushes(command: PushList, session: Session) -> Iterable[str]:
    connection = session.current().connection
    now = connection.now()
    pushes = session.pushes()
    if command.json:
        return [reports.push_json(pushes, now)]
    if command.long:
        refused = reports.refused(connection.refused_promises)
        return [*reports.push_table(pushes, now), *refused]
    return reports.push_paths(pushes)
