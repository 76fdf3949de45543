"""An HTTP/2 client that takes pushed and informational responses.

    client.py       AsyncClient: requests by URL, over as many connections as there are origins
    background.py   Background: a thread with an event loop
    sync.py         Client: AsyncClient's interface without an event loop
    requester.py    Requester: sends requests, and repeats those that were not processed
    connect.py      connect: the name, the socket, TLS, and the server's SETTINGS
    dialing.py      dial: a socket to the first address that can be reached
    proxies.py      HTTP proxies: which one, and the tunnel through it
    upgrade.py      Upgrading: from HTTP/1.1 to HTTP/2 on one connection
    channel.py      Channel: bytes between a socket and the engine
    pings.py        Pings: PING frames that wait for their acknowledgement
    connection.py   Http2ClientConnection: one connection under asyncio
    response_stream.py  ResponseStream: one request and its response as they arrive
    encoding.py     `params=`, `data=` and `json=`
    headers.py      Headers: a mapping whose names ignore case
    response.py     AsyncResponse, AsyncServerPush: the caller's view of it
    text.py         a body as text and as lines
    slots.py        Slots: how many streams may be open at once
    uploads.py      Uploads: bodies of requests, sent as the server takes them
    pushed.py       PushedResponses: the streams of pushed responses
    pushes.py       PushStore: the choice of a pushed response for a request
    origin.py       Origin, split_url: where to connect to
    tls.py          trusted certificates
    tls_transport.py  TlsTransport: TLS between a socket and a connection
    failures.py     errors of sockets, TLS and HTTP/2, explained to the user
    errors.py       why a connection or a request failed

Everything but `sync` runs on the caller's event loop and on one thread.
"""

from __future__ import annotations

from headstart.client.client import AsyncClient
from headstart.client.errors import (
    ClientError,
    ClientTimeoutError,
    ConnectError,
    HTTPStatusError,
    NotHttp2Error,
    RequestError,
    TlsError,
)
from headstart.client.headers import Headers
from headstart.client.response import AsyncResponse, AsyncServerPush
from headstart.client.response_stream import Informational, PromisedRequest, Times
from headstart.client.sync import Client, Response, ServerPush
from headstart.config import ClientLimits

__all__ = [
    "AsyncClient",
    "AsyncResponse",
    "AsyncServerPush",
    "Client",
    "ClientError",
    "ClientLimits",
    "ClientTimeoutError",
    "ConnectError",
    "HTTPStatusError",
    "Headers",
    "Informational",
    "NotHttp2Error",
    "PromisedRequest",
    "RequestError",
    "Response",
    "ServerPush",
    "Times",
    "TlsError",
]


def __dir__() -> list[str]:
    return sorted(__all__)
