"""Requests, as a command sends them, to a server or to a peer in memory."""

from __future__ import annotations

from headstart import __version__
from headstart.config import WireLimits
from headstart.h2c.daemon.conversation import Request
from headstart.h2c.daemon.requesting import exchange
from headstart.h2c.daemon.session import Link, Session
from headstart.h2c.options.connections import Trust
from tests.client.peer import Peer
from tests.h2c.options.typed import exchange as typed
from tests.h2c.recorder import Recorder


async def run(
    session: Session, recorder: Recorder, *arguments: str, to_terminal: bool = False
) -> int:
    request = Request(__version__, "/", to_terminal, True, arguments, unicode=True, width=80)
    return await exchange(typed(*arguments), session, recorder, request)


async def linked(*, window: int) -> tuple[Session, Peer]:
    """A session with a connection in memory, whose server takes so much before it reads."""
    peer = await Peer.connected(wire_limits=WireLimits(stream_window=window))
    session = Session()
    session.add(Link(peer.connection, Trust()))
    return session, peer
