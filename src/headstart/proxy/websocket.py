"""WebSockets through the proxy: the upstream's handshake decides, then messages pass both ways.

The client's side is ASGI's, the upstream's is the package `websockets`, a dependency already.
Messages are bounded as uvicorn bounds them. Called by `app`.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from functools import partial
from http import HTTPStatus
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.client import ClientProtocol
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.http11 import Response

from headstart.config import ProxyOptions
from headstart.deliver.asgi import Message, Receive, Scope, Send, offers
from headstart.errors import LocalProtocolError
from headstart.proxy.balance import AnyPool, Balance
from headstart.proxy.failures import UpstreamError
from headstart.proxy.fields import Fields, forwarded, passed_to_client, passed_to_upstream
from headstart.proxy.heads import target_of
from headstart.proxy.http2_pool import Http2Pool
from headstart.proxy.tunnel import parsed_uri
from headstart.reasons import Gateway

logger = logging.getLogger("headstart.proxy")

_MAX_MESSAGE: Final = 16 * 1024 * 1024
_SHAKEN = frozenset(
    (
        b"sec-websocket-key",
        b"sec-websocket-version",
        b"sec-websocket-extensions",
        b"sec-websocket-protocol",
        b"sec-websocket-accept",
        b"user-agent",
    )
)
_STATUSES = frozenset(int(status) for status in HTTPStatus if status >= 200)
# The server on the client's side writes its own.
_OURS = frozenset((b"date", b"server", b"content-length"))
# RFC 6455, 7.4.1: the other side went away without a code.
_GOING_AWAY = 1001
_ABNORMAL = 1006


async def pass_websocket(
    balance: Balance,
    options: ProxyOptions,
    scope: Scope,
    receive: Receive,
    send: Send,
) -> None:
    """Serve one ASGI scope of type `websocket`.

    A handshake that the upstream refuses is refused with the same response where the server can
    send one (ASGI's `websocket.http.response`), else with 403. So is one that no upstream answers.
    """
    await receive()  # websocket.connect
    try:
        target = target_of(scope).decode("latin-1")
    except LocalProtocolError as error:
        logger.warning("A WebSocket was refused: %s", error)
        await _refuse(Response(400, "", Headers(), b""), scope, send)
        return
    for pool in balance.in_order():
        pool.outstanding += 1
        try:
            connection = await _dial(pool, options, balance.context, scope, target)
        except UpstreamError as error:
            logger.warning("A WebSocket to %s failed: %s", pool.upstream.name, error)
            balance.failed(pool, error)
        except InvalidStatus as error:
            await _refuse(error.response, scope, send)
            return
        except (OSError, TimeoutError, WebSocketException) as error:
            logger.warning("A WebSocket to %s failed: %s", pool.upstream.name, error)
            if isinstance(error, OSError):  # TimeoutError is one
                balance.failed(pool, UpstreamError(Gateway.CONNECT_FAILED, pool.upstream.name))
        else:
            async with connection:
                accept: Message = {"type": "websocket.accept", "headers": _told(connection)}
                if connection.subprotocol:
                    accept["subprotocol"] = connection.subprotocol
                await send(accept)
                await _pass_both_ways(connection, receive, send)
            return
        finally:
            pool.outstanding -= 1
    await _refuse(Response(502, "", Headers(), b""), scope, send)


def _told(connection: ClientConnection) -> Fields:
    """Return the fields of the upstream's handshake that are not the handshake's own."""
    response = connection.response
    fields = _fields(response) if response is not None else []
    return [pair for pair in fields if pair[0] not in _SHAKEN and pair[0] not in _OURS]


async def _refuse(response: Response, scope: Scope, send: Send) -> None:
    if not offers(scope, "websocket.http.response"):
        await send({"type": "websocket.close", "code": _GOING_AWAY})
        return
    body = response.body or b""
    fields = [pair for pair in _fields(response) if pair[0] != b"content-length"]
    fields.append((b"content-length", b"%d" % len(body)))
    # uvicorn knows no other status.
    status = response.status_code if response.status_code in _STATUSES else 502
    await send({"type": "websocket.http.response.start", "status": status, "headers": fields})
    await send({"type": "websocket.http.response.body", "body": body})


def _fields(response: Response) -> Fields:
    pairs = [
        (name.lower().encode("latin-1"), value.encode("latin-1", "replace"))
        for name, value in response.headers.raw_items()
    ]
    return passed_to_client(pairs)


class _Connect(connect):
    """Connects over HTTP/1.1; a redirect goes to the client, as every other refusal does."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Follow none."""
        return exc


async def _dial(
    pool: AnyPool,
    options: ProxyOptions,
    context: ssl.SSLContext | None,
    scope: Scope,
    target: str,
) -> ClientConnection:
    upstream = pool.upstream
    fields: Fields = list(scope["headers"])
    host = dict(fields).get(b"host", b"localhost")
    named = options.upstream_host or host.decode("latin-1")
    secure = upstream.tls
    uri = f"{'wss' if secure else 'ws'}://{named}{target}"
    client = scope.get("client")
    told = forwarded(
        fields,
        client[0] if client else "",
        scope.get("scheme", "ws").replace("ws", "http"),
        host,
        trusted=client is not None and client[1] == 0,
    )
    settings: dict[str, Any] = {
        "additional_headers": [
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in [*passed_to_upstream(fields), *told]
            if name not in _SHAKEN
        ],
        "user_agent_header": dict(fields).get(b"user-agent", b"").decode("latin-1") or None,
        "subprotocols": scope.get("subprotocols") or None,
        "open_timeout": options.upstream_connect_timeout,
        "max_size": _MAX_MESSAGE,
    }
    tunnel = await pool.acquire_tunnel() if isinstance(pool, Http2Pool) else None
    if tunnel is not None:
        return await tunnel.open(uri, **settings)
    settings["create_connection"] = partial(_connection_for, uri)
    settings["proxy"] = None
    settings["ping_interval"] = None  # the client's own PINGs are answered by the server
    if secure:
        settings["ssl"] = context
        settings["server_hostname"] = upstream.host
    if upstream.path:
        return await _Connect(uri, unix=True, path=upstream.path, **settings)
    return await _Connect(uri, host=upstream.host, port=upstream.port, **settings)


def _connection_for(uri: str, protocol: ClientProtocol, **settings: Any) -> ClientConnection:
    protocol.uri = parsed_uri(uri)
    return ClientConnection(protocol, **settings)


async def _pass_both_ways(connection: ClientConnection, receive: Receive, send: Send) -> None:
    """Pass messages until one side ends; the other is then told with the same code."""
    outward = asyncio.create_task(_to_upstream(connection, receive))
    try:
        async for message in connection:
            if isinstance(message, str):
                await send({"type": "websocket.send", "text": message})
            else:
                await send({"type": "websocket.send", "bytes": message})
        code = connection.close_code or _GOING_AWAY
    except ConnectionClosed as closed:
        code = closed.rcvd.code if closed.rcvd is not None else _ABNORMAL
    finally:
        left = outward.done()
        outward.cancel()
        await asyncio.gather(outward, return_exceptions=True)
    if not left:
        reason = connection.close_reason or ""
        code = _GOING_AWAY if code == _ABNORMAL else code  # 1006 is never sent (RFC 6455, 7.4.1)
        await send({"type": "websocket.close", "code": code, "reason": reason})


async def _to_upstream(connection: ClientConnection, receive: Receive) -> None:
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            code = message.get("code") or _GOING_AWAY
            code = _GOING_AWAY if code in (1005, _ABNORMAL) else code
            await connection.close(code, message.get("reason") or "")
            return
        text = message.get("text")
        try:
            await connection.send(text if text is not None else message["bytes"])
        except ConnectionClosed:
            return  # the reader tells the client
