"""HTTP/2 for httpx: its client with our connections.

    client = httpx.AsyncClient(transport=AsyncTransport())
    client = httpx.Client(transport=Transport())

    transport.py  AsyncTransport: a request of httpx over HTTP/2, or over HTTP/1.1
    sync.py       Transport: the same without an event loop
    http2.py      Http2: the connections of both
    requests.py   the request as `headstart.client` sends it
    responses.py  the response as httpx reads it
    failures.py   the client's errors as httpx's
    tracing.py    the events of `extensions={"trace": ...}`

Redirects, cookies, authentication and decoding stay httpx's. It needs the extra `headstart[httpx]`.
"""

from __future__ import annotations

from headstart.extras import install_command

try:
    import httpx as _httpx
except ModuleNotFoundError as error:
    error.add_note(f"Install it: {install_command('httpx')}")
    raise

from headstart.httpx.sync import Transport
from headstart.httpx.transport import AsyncTransport

del _httpx

__all__ = ["AsyncTransport", "Transport"]


def __dir__() -> list[str]:
    return sorted(__all__)
