"""One request to a WSGI application on the real server, over either version of HTTP."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from tests.server.live import PATIENCE, running
from tests.server.raw import RawClient

WsgiApp = Callable[[dict[str, Any], Any], Iterable[bytes]]
VERSIONS = ["1.1", "2"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came."""

    status: int
    headers: dict[str, str]
    body: bytes


def asked(
    app: WsgiApp,
    version: str,
    path: str = "/",
    *,
    method: str = "GET",
    headers: Iterable[tuple[str, str]] = (),
    body: bytes | None = None,
    **settings: Any,
) -> Answer:
    """Ask once; a body goes without Content-Length, in two parts."""
    with running(app, interface="wsgi", **settings) as server:
        if version == "2":
            return _over_http2(server.port, path, method, headers, body)
        return _over_http1(server.port, path, method, headers, body)


def _over_http2(
    port: int, path: str, method: str, headers: Iterable[tuple[str, str]], body: bytes | None
) -> Answer:
    with RawClient(port) as client:
        fields = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
        stream_id = client.request(
            path.encode(), method=method.encode(), headers=fields, end_stream=body is None
        )
        if body is not None:
            half = len(body) // 2
            client.send_data(stream_id, body[:half])
            client.send_data(stream_id, body[half:], end_stream=True)
        response = client.response(stream_id)
        sent = {name.decode(): value.decode("latin-1") for name, value in response.headers}
        return Answer(response.status, sent, response.body)


def _over_http1(
    port: int, path: str, method: str, headers: Iterable[tuple[str, str]], body: bytes | None
) -> Answer:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    client.putrequest(method, path)
    for name, value in headers:
        client.putheader(name, value.encode("latin-1"))
    if body is not None:
        client.putheader("Transfer-Encoding", "chunked")
    client.endheaders()
    if body is not None:
        half = len(body) // 2
        for part in (body[:half], body[half:]):
            if part:
                client.send(b"%x\r\n%s\r\n" % (len(part), part))
        client.send(b"0\r\n\r\n")
    response = client.getresponse()
    sent = {name.lower(): value for name, value in response.getheaders()}
    answer = Answer(response.status, sent, response.read())
    client.close()
    return answer
