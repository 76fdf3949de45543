"""Records what real servers say: `python -m tests.fuzzing.record`.

Changes `transcripts/`, a file for each server and story: all requests with push allowed, without,
and one page alone. Run by hand when the story changes, or a server is to be added; the files are
fixtures of test_transcripts.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeAlias

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from headstart import push
from headstart.client import AsyncClient
from headstart.errors import HeadstartError
from headstart.wire.frames import ConnectionFrames, Direction
from tests.fuzzing.story import AUTHORITY, Transcript, tell
from tests.server.live import running
from tests.servers.nghttpd import nghttpd
from tests.servers.node import node
from tests.servers.site import FILES

TRANSCRIPTS: Final = Path(__file__).with_name("transcripts")


class _Relay:
    """Stands between client and server, and notes what the server says."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._asked = False
        self._frames = ConnectionFrames(client=Direction.SENT)
        self._greeting = bytearray()
        self._rest = bytearray()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        from_server, to_server = await asyncio.open_connection("127.0.0.1", self._port)
        await asyncio.gather(self._up(reader, to_server), self._down(from_server, writer))

    async def _up(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            frames = self._frames.feed(Direction.SENT, data, 0.0)
            self._asked |= any(frame.kind == "HEADERS" for frame in frames)
            writer.write(data)
        writer.close()

    async def _down(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            (self._rest if self._asked else self._greeting).extend(data)
            writer.write(data)
        writer.close()

    @property
    def transcript(self) -> Transcript:
        """What the server said."""
        return Transcript(bytes(self._greeting), bytes(self._rest))


async def _file(request: Request) -> Response:
    if request.url.path == "/page.html":
        await push(request, "/style.css")
        await push(request, "/script.js")
    if request.method == "POST":
        return Response(await request.body())
    return Response(FILES.get(request.url.path, b"with no trailer"))


@contextmanager
def _ours() -> Iterator[int]:
    app = Starlette(routes=[Route("/{path:path}", _file, methods=["GET", "POST"])])
    with running(app) as server:
        yield server.port


async def _page(client: AsyncClient) -> list[bytes | HeadstartError]:
    response = await client.get("/page.html", headers={"host": AUTHORITY})
    return [response.content]


_Story: TypeAlias = Callable[[AsyncClient], Awaitable[list[bytes | HeadstartError]]]
_STORIES: Final[dict[str, tuple[_Story, bool]]] = {
    "push": (tell, True),
    "plain": (tell, False),
    "page": (_page, True),
}


async def _record(port: int, story: _Story, allowed: bool) -> Transcript:
    relay = _Relay(port)
    async with await asyncio.start_server(relay.serve, "127.0.0.1", 0) as listener:
        url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        async with AsyncClient(url, push=allowed) as client:
            outcomes = await story(client)
            # What is pushed may come behind the page.
            await asyncio.sleep(0.2)
    assert all(isinstance(outcome, bytes) for outcome in outcomes), outcomes
    return relay.transcript


def _port(clear: str) -> int:
    return int(clear.rpartition(":")[2])


def main() -> None:
    """Record all."""
    with nghttpd() as first, node() as second, _ours() as third:
        ports = {"nghttpd": _port(first.clear), "node": _port(second.clear), "headstart": third}
        for name, port in ports.items():
            for kind, (story, allowed) in _STORIES.items():
                transcript = asyncio.run(_record(port, story, allowed))
                (TRANSCRIPTS / f"{name}.{kind}").write_bytes(bytes(transcript))


if __name__ == "__main__":
    main()
