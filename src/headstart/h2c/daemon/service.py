"""Serve one command, from its first frame to its exit code.

Checks the command's version, parses its arguments, runs it, and turns every failure into one line
and an exit code. When the command disconnects (Ctrl-C), its work is cancelled. Made by `process`;
calls `verbs`.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from headstart import __version__
from headstart.client.failures import proxies_of_user
from headstart.errors import HeadstartError
from headstart.h2c import exits, options
from headstart.h2c.daemon.conversation import Conversation, Request
from headstart.h2c.daemon.session import Session
from headstart.h2c.daemon.verbs import perform
from headstart.h2c.failures import exit_code, explanation
from headstart.h2c.options import HelpWanted
from headstart.h2c.options.process import Pid, Stop

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
