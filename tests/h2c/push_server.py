"""An HTTP/2 server for tests, on the h2 library: another implementation than the one under test.

Serves cleartext by prior knowledge, or TLS, in a thread of its own, and writes down what it
receives. What a path answers is in `_Peer.answer`.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    RequestReceived,
    StreamEnded,
    StreamReset,
)
from h2.exceptions import ProtocolError

Fields = list[tuple[bytes, bytes]]
RECEIVED = b"I received the following data: "


@dataclass(frozen=True, slots=True)
class Page:
    """What a path answers in a test that says so.

    Attributes:
        hints: Values of Link, in a 103 each, which goes out before all else.
        pushes: Paths of other pages, pushed before the response if the client takes pushes.
        after: The response goes out once these were asked for (`GET /path`).
        unfinished: The content never ends.
    """

    body: bytes = b""
    content_type: str = "text/html"
    status: int = 200
    fields: tuple[tuple[bytes, bytes], ...] = ()
    hints: tuple[bytes, ...] = ()
    pushes: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    unfinished: bool = False


class PushServer:
    """A server that runs.

    Attributes:
        port: Where it listens.
        pages: What paths answer, before all others.
        refuse: So many requests are reset with REFUSED_STREAM.
        promised_for: The authority of promises, "" for that of the request.
        requests: `METHOD PATH` of each request, in order.
        fields: The fields of the last request.
        all_fields: The fields of the last request for each path.
        resets: Error codes of RST_STREAM frames that came.
        goaways: Error codes of GOAWAY frames that came.
    """

    def __init__(self, scheme: str) -> None:
        self.scheme = scheme
        self.port = 0
        self.requests: list[str] = []
        self.fields: dict[str, str] = {}
        self.resets: list[int] = []
        self.goaways: list[int] = []
        self.pages: dict[str, Page] = {}
        self.refuse = 0
        self.promised_for = ""
        self.all_fields: dict[str, dict[str, str]] = {}
        self.message = b""

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"{self.scheme}://127.0.0.1:{self.port}"


class _Peer(asyncio.Protocol):
    """One connection."""

    def __init__(self, server: PushServer, opened: set[asyncio.Transport]) -> None:
        self._server = server
        self._opened = opened
        self._h2 = H2Connection(H2Configuration(client_side=False, header_encoding=None))
        self._targets: dict[int, str] = {}
        self._bodies: defaultdict[int, bytearray] = defaultdict(bytearray)
        self._waiting: dict[int, bytearray] = {}
        self._ended: set[int] = set()
        self._held: dict[int, Page] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._opened.add(transport)
        self._h2.initiate_connection()
        transport.write(self._h2.data_to_send())

    def connection_lost(self, error: Exception | None) -> None:
        self._opened.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        with suppress(ProtocolError):
            for event in self._h2.receive_data(data):
                self._take(event)
            for stream_id in list(self._waiting):
                self._flush(stream_id)
        self._transport.write(self._h2.data_to_send())

    def _take(self, event: Event) -> None:
        match event:
            case RequestReceived(stream_id=int(stream_id), headers=list(headers)):
                fields = {bytes(name).decode(): bytes(value).decode() for name, value in headers}
                self._targets[stream_id] = f"{fields[':method']} {fields[':path']}"
                self._server.requests.append(self._targets[stream_id])
                self._server.fields = self._server.all_fields[fields[":path"]] = fields
                if fields[":path"] == "/echo":
                    self._start(stream_id, 200, [])
                elif fields[":path"] == "/early":
                    self._refuse(stream_id)
                self._release()
            case DataReceived(stream_id=int(stream_id), data=bytes(data)):
                self._h2.acknowledge_received_data(event.flow_controlled_length or 0, stream_id)
                if self._targets[stream_id].endswith(" /echo"):
                    self._send(stream_id, data)
                elif self._targets[stream_id].endswith(" /early"):
                    pass
                else:
                    self._bodies[stream_id] += data
            case StreamEnded(stream_id=int(stream_id)):
                self._ended.add(stream_id)
                if not self._did_as_told(stream_id):
                    self._answer(stream_id)
            case StreamReset(stream_id=int(stream_id)):
                self._server.resets.append(int(event.error_code or 0))
                self._waiting.pop(stream_id, None)
            case ConnectionTerminated():
                self._server.goaways.append(int(event.error_code or 0))
            case _:
                pass  # settings, windows, priorities: the library has seen to them

    def _did_as_told(self, stream_id: int) -> bool:
        """Do what the test says, if it says something of this request."""
        page = self._server.pages.get(self._targets[stream_id].partition(" ")[2])
        if self._server.refuse:
            self._server.refuse -= 1
            self._h2.reset_stream(stream_id, ErrorCodes.REFUSED_STREAM)
        elif page is not None:
            self._begin(stream_id, page)
        else:
            return False
        return True

    def _answer(self, stream_id: int) -> None:
        """What each path answers."""
        target = self._targets[stream_id]
        match target.split(" "):
            case ["POST", "/data"]:
                self._server.message = bytes(self._bodies[stream_id])
                self._push(stream_id, b"/data", RECEIVED + self._server.message)
                self._respond(stream_id, 200, b"")
            case ["GET", "/data"]:
                self._respond(stream_id, 200, RECEIVED + self._server.message)
            case ["POST", "/broken-push"]:
                promised = self._promise(stream_id, b"/broken")
                self._h2.reset_stream(promised, ErrorCodes.INTERNAL_ERROR)
                self._respond(stream_id, 200, b"")
            case [_, "/echo"]:
                self._flush(stream_id)
            case [_, "/hang" | "/early"]:
                pass
            case [_, "/trailers"]:
                self._start(stream_id, 200, [])
                self._h2.send_data(stream_id, b"body")
                self._h2.send_headers(stream_id, [(b"checksum", b"1a2b")], end_stream=True)
            case [_, "/stall"]:
                self._start(stream_id, 200, [])
                self._h2.send_data(stream_id, b"some, ")
            case [_, "/hints"]:
                self._h2.send_headers(
                    stream_id, [(b":status", b"103"), (b"link", b"</a.css>; rel=preload; as=style")]
                )
                self._respond(stream_id, 200, b"hinted")
            case [_, "/reset" | "/half" | "/close" as path]:
                self._break_off(stream_id, path)
            case [_, path] if path.startswith("/status/"):
                self._respond(stream_id, int(path.removeprefix("/status/")), b"as you wish\n")
            case _:
                self._respond(stream_id, 200, target.encode() + b": " + self._bodies[stream_id])

    def _begin(self, stream_id: int, page: Page) -> None:
        for hint in page.hints:
            self._h2.send_headers(stream_id, [(b":status", b"103"), (b"link", hint)])
        for path in page.pushes if self._h2.remote_settings.enable_push else ():
            promised = self._promise(stream_id, path.encode())
            self._finish(promised, self._server.pages[path])
        self._held[stream_id] = page
        self._release()

    def _release(self) -> None:
        """Answer what has waited for other requests and need not any more."""
        for stream_id, page in list(self._held.items()):
            if set(page.after) <= set(self._server.requests):
                del self._held[stream_id]
                self._finish(stream_id, page)

    def _finish(self, stream_id: int, page: Page) -> None:
        kind = (b"content-type", page.content_type.encode())
        self._start(stream_id, page.status, [kind, *page.fields])
        if page.unfinished:
            self._ended.discard(stream_id)
        else:
            self._ended.add(stream_id)
        self._send(stream_id, page.body)

    def _start(self, stream_id: int, status: int, headers: Fields) -> None:
        self._h2.send_headers(stream_id, [(b":status", b"%d" % status), *headers])

    def _respond(self, stream_id: int, status: int, body: bytes) -> None:
        self._start(stream_id, status, [(b"content-type", b"text/plain")])
        self._ended.add(stream_id)
        if self._targets[stream_id].startswith("HEAD "):
            body = b""
        self._send(stream_id, body)

    def _break_off(self, stream_id: int, path: str) -> None:
        if path == "/close":
            self._transport.abort()
            return
        if path == "/half":
            self._start(stream_id, 200, [])
            self._h2.send_data(stream_id, b"half")
        self._h2.reset_stream(stream_id, ErrorCodes.INTERNAL_ERROR)

    def _refuse(self, stream_id: int) -> None:
        """Answer before the content has come, and want none of it (RFC 9113, 8.1)."""
        self._start(stream_id, 413, [])
        self._h2.send_data(stream_id, b"too large\n", end_stream=True)
        self._h2.reset_stream(stream_id, ErrorCodes.NO_ERROR)

    def _promise(self, parent: int, path: bytes) -> int:
        promised = self._h2.get_next_available_stream_id()
        scheme = self._server.scheme.encode()
        authority = (self._server.promised_for or self._server.fields[":authority"]).encode()
        request = [
            (b":method", b"GET"),
            (b":scheme", scheme),
            (b":authority", authority),
            (b":path", path),
        ]
        self._h2.push_stream(parent, promised, request)
        self._targets[promised] = f"GET {path.decode()}"
        return promised

    def _push(self, parent: int, path: bytes, body: bytes) -> None:
        if self._h2.remote_settings.enable_push:
            self._respond(self._promise(parent, path), 200, body)

    def _send(self, stream_id: int, data: bytes) -> None:
        self._waiting.setdefault(stream_id, bytearray()).extend(data)
        self._flush(stream_id)

    def _flush(self, stream_id: int) -> None:
        """Send as much as the windows allow, and END_STREAM when that was all."""
        waiting = self._waiting.get(stream_id, bytearray())
        while waiting:
            window = self._h2.local_flow_control_window(stream_id)
            size = min(window, self._h2.max_outbound_frame_size, len(waiting))
            if size <= 0:
                return
            self._h2.send_data(stream_id, bytes(waiting[:size]))
            del waiting[:size]
        if stream_id in self._ended:
            self._waiting.pop(stream_id, None)
            self._h2.end_stream(stream_id)
            self._ended.discard(stream_id)


@contextmanager
def push_server(tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> Iterator[PushServer]:
    """A server that ends with the block."""
    server = PushServer("http" if tls is None else "https")
    loop = asyncio.new_event_loop()
    opened: set[asyncio.Transport] = set()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    starting = loop.create_server(lambda: _Peer(server, opened), host, 0, ssl=tls)
    listening = asyncio.run_coroutine_threadsafe(starting, loop).result(90)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(_close(listening, opened), loop).result(90)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(90)
        loop.close()


async def _close(listening: asyncio.Server, opened: set[asyncio.Transport]) -> None:
    listening.close()
    for transport in list(opened):
        transport.abort()
    while opened:  # connection_lost comes a little later
        await asyncio.sleep(0.01)
