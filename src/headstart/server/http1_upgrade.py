"""Hand a connection of HTTP/1.1 over to a WebSocket.

Called by `http1.Http1Connection`, which has nothing to do with the transport from then on.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

from headstart.server.admission import ConnectionSlot
from headstart.server.http1_parser import UpgradeReceived
from headstart.server.websocket import Handshake, WebSocketConnection
from headstart.server.worker import Worker


def open_websocket(
    event: UpgradeReceived,
    transport: asyncio.Transport,
    slot: ConnectionSlot | None,
    loop: asyncio.AbstractEventLoop,
    worker: Worker,
    config: Config,
    server_state: ServerState,
    app_state: dict[str, Any],
) -> None:
    """Make a WebSocket of a connection, with its slot.

    Args:
        event: The handshake, and the bytes behind it.
        transport: The connection's.
        slot: The connection's place among all.
        loop, worker, config, server_state, app_state: As `http1` has them.
    """
    make: Any = config.ws_protocol_class
    if make is WebSocketsSansIOProtocol:
        protocol = WebSocketConnection(config, server_state, app_state, loop)
        protocol.slot = slot
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        protocol.begin(Handshake(event.target, event.headers))
        if event.rest:
            protocol.data_received(event.rest)
        return
    other = make(config=config, server_state=server_state, app_state=app_state)
    head = [b"GET %s HTTP/1.1\r\n" % event.target]
    head += [b"%s: %s\r\n" % field for field in event.headers]
    other.connection_made(transport)
    other.data_received(b"".join([*head, b"\r\n", event.rest]))
    transport.set_protocol(other)
    if slot is not None:
        worker.keep_seat(slot, transport)
