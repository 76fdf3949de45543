"""Run each command except for those of `exchange`.

Every function takes the command as parsed by `options`, the session and the conversation, and
returns an exit code; failures are raised. Called by `service`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from typing import assert_never

from headstart import __version__
from headstart.client.origin import Origin
from headstart.h2c import exits
from headstart.h2c.daemon import reports
from headstart.h2c.daemon.conversation import Conversation, Request
from headstart.h2c.daemon.ping import ping
from headstart.h2c.daemon.requesting import exchange
from headstart.h2c.daemon.session import Session
from headstart.h2c.options import Command
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
