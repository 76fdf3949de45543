"""`h2c ping`: one round trip, or a series with statistics at its end.

Called by `service`. A series ends after its count, on Ctrl-C, or when `h2c ping --stop` says so;
all three end it with statistics.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Literal

from headstart.client.connection import Http2ClientConnection
from headstart.client.errors import ClientTimeoutError
from headstart.h2c import exits
from headstart.h2c.daemon.conversation import Conversation
from headstart.h2c.daemon.session import Session
from headstart.h2c.options.connections import Ping


async def ping(command: Ping, session: Session, conversation: Conversation) -> int:
    """Send PINGs and return the exit code.

    Raises:
        NotConnectedError: No connection is open.
        RequestError: The connection was lost; earlier round trips were shown.
        ClientTimeoutError: A single PING was not answered.
    """
    if command.stop:
        return await _stop(session, conversation)
    link = await session.use_current(command.timeout)
    if command.count == 1:
        seconds = await link.connection.ping(command.timeout)
        await conversation.print(_milliseconds(seconds))
        return exits.OK
    with session.series(link.connection, conversation.interrupted):
        return await _Series(command, link.connection, conversation).run()


async def _stop(session: Session, conversation: Conversation) -> int:
    if not session.stop_series(session.current().connection):
        await conversation.say(exits.NO_SERIES)
    return exits.OK


class _Series:
    """PINGs, one after the other."""

    def __init__(
        self, command: Ping, connection: Http2ClientConnection, conversation: Conversation
    ) -> None:
        self._command = command
        self._connection = connection
        self._conversation = conversation
        self._sent = 0
        self._answered: list[float] = []

    async def run(self) -> int:
        """Ping until the end; returns the exit code."""
        await self._conversation.be_patient()
        ending = asyncio.ensure_future(self._conversation.interrupted.wait())
        try:
            while not ending.done() and self._sent != self._command.count:
                await self._one(ending)
        finally:
            ending.cancel()
            await self._conversation.print(statistics(self._sent, self._answered))
        return exits.OK if len(self._answered) == self._sent else exits.TIMED_OUT

    async def _one(self, ending: asyncio.Future[Literal[True]]) -> None:
        """One PING, and the pause behind it; both end with the series."""
        began = asyncio.get_running_loop().time()
        asking = asyncio.ensure_future(self._connection.ping(self._command.timeout))
        await asyncio.wait((asking, ending), return_when=asyncio.FIRST_COMPLETED)
        if not asking.done():  # it was just sent: it does not count as lost
            asking.cancel()
            return
        self._sent += 1
        try:
            seconds = asking.result()
        except ClientTimeoutError as error:
            await self._conversation.print(str(error))
        else:
            self._answered.append(seconds)
            await self._conversation.print(_milliseconds(seconds))
        if self._sent != self._command.count:
            spent = asyncio.get_running_loop().time() - began
            await asyncio.wait((ending,), timeout=max(0.0, self._command.interval - spent))


def statistics(sent: int, answered: Sequence[float]) -> str:
    """One line about a series.

    Args:
        answered: The round trips that were completed, in seconds.
    """
    counted = f"{sent} sent, {len(answered)} answered"
    if not answered:
        return counted
    mean = sum(answered) / len(answered)
    deviation = (sum((seconds - mean) ** 2 for seconds in answered) / len(answered)) ** 0.5
    values = (min(answered), mean, max(answered), deviation)
    shown = "/".join(f"{value * 1000:.3f}" for value in values)
    return f"{counted}; min/avg/max/mdev {shown} ms"


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.3f} ms"
