"""A mixture of clients for the soak: good ones, slow ones, and ones that break off or break rules.

Each kind is a coroutine that does one visit; the soak repeats it until the time is over. A visit
that should be served and is not raises. All traffic goes to one port of 127.0.0.1. Called by
`soak`.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from bench.apps.content import ASSET, ASSETS, BODIES, PAGE, UPLOAD
from bench.frames import (
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    frame,
    request_fields,
)
from headstart.client import AsyncClient

_PATIENCE: Final = 30.0
_PATHS: Final = ("/", "/1k", "/100k")
_SLOW: Final = 3.0
_CANCEL: Final = (8).to_bytes(4, "big")
# SETTINGS_INITIAL_WINDOW_SIZE of 1000 octets.
_NARROW: Final = b"\x00\x04" + (1000).to_bytes(4, "big")
_NO_PUSH: Final = b"\x00\x02" + (0).to_bytes(4, "big")


class Unserved(Exception):
    """A client that kept the rules did not get what it asked for."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the server is.

    Attributes:
        upload: A file to upload.
    """

    port: int
    upload: str

    @property
    def url(self) -> str:
        """Without a path."""
        return f"http://127.0.0.1:{self.port}"


Visit: TypeAlias = Callable[[Place, random.Random], Coroutine[Any, Any, None]]


async def _program(*words: str, said_when_served: str) -> None:
    """Run a client of somebody else's to its end; its exit status says nothing."""
    process = await asyncio.create_subprocess_exec(
        *words,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(_PATIENCE):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    text = said.decode(errors="replace")
    if process.returncode or said_when_served not in text:
        raise Unserved(f"{words[0]} said: {text.strip()[-300:]}")


async def _h2load(place: Place, path: str, *options: str) -> None:
    await _program(
        "h2load", "-t", "1", *options, place.url + path, said_when_served=", 0 failed, 0 errored"
    )


async def _steady(place: Place, dice: random.Random) -> None:
    """h2load over HTTP/2, some connections with some streams each."""
    shape = ["-n", "2000", "-c", "4", "-m", "10", "--rps", "200"]
    await _h2load(place, dice.choice(_PATHS), *shape)


async def _steady_http1(place: Place, dice: random.Random) -> None:
    """h2load over HTTP/1.1."""
    shape = ["--h1", "-n", "500", "-c", "4", "--rps", "50"]
    await _h2load(place, dice.choice(_PATHS), *shape)


async def _uploads(place: Place, dice: random.Random) -> None:
    """h2load with a megabyte to upload, over both protocols."""
    protocol = dice.choice([["--h1"], ["-m", "4"]])
    shape = ["-n", "8", "-c", "2", "-d", place.upload]
    await _h2load(place, "/upload", *protocol, *shape)


async def _nghttp(place: Place, dice: random.Random) -> None:
    """nghttp takes a page with its pushes."""
    # Its statistics list the page, and with a star what was pushed.
    await _program("nghttp", "-ns", place.url + "/page", said_when_served=f"1K {ASSETS[-1]}")


async def _pushes(place: Place, dice: random.Random) -> None:
    """Our client takes pages with their pushes, and uses them."""
    async with AsyncClient(place.url, push=True) as client:
        for _ in range(5):
            page = await client.get("/page")
            # With a Referer, so that the server has something to learn.
            fields = {"referer": place.url + "/page"}
            assets = await asyncio.gather(*(client.get(path, headers=fields) for path in ASSETS))
            if page.content != PAGE or any(asset.content != ASSET for asset in assets):
                raise Unserved("a page or one of its assets is not what it was")


async def _streamed_upload(place: Place, dice: random.Random) -> None:
    """An upload in parts, with time between them."""

    async def parts() -> AsyncIterator[bytes]:
        size = len(UPLOAD) // 8
        for begin in range(0, len(UPLOAD), size):
            await asyncio.sleep(0.02)
            yield UPLOAD[begin : begin + size]

    async with AsyncClient(place.url) as client:
        response = await client.post("/upload", parts())
        if response.content != BODIES["/upload"]:
            raise Unserved(f"of an upload, {response.content!r} bytes arrived")


# Clients of raw bytes: those get no answer that has to be right.


def _get(stream_id: int, path: str) -> bytes:
    return frame(
        HEADERS, END_HEADERS | END_STREAM, stream_id, request_fields(b"localhost", path.encode())
    )


async def _say(
    place: Place, data: bytes, *, read: Callable[[asyncio.StreamReader], Awaitable[None]]
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
    try:
        with suppress(ConnectionError):
            writer.write(data)
            await writer.drain()
            await read(reader)
    finally:
        writer.transport.abort()


async def _nothing(reader: asyncio.StreamReader) -> None:
    """Read not at all."""


async def _some(reader: asyncio.StreamReader) -> None:
    await reader.read(1000)


async def _slowly(reader: asyncio.StreamReader) -> None:
    # Where the windows are narrow, nothing more comes.
    with suppress(TimeoutError):
        async with asyncio.timeout(_SLOW):
            while await reader.read(2000):
                await asyncio.sleep(0.1)


async def _resets(place: Place, dice: random.Random) -> None:
    """Asks for much, and gives it up at once."""
    streams = range(1, 2 * dice.randint(10, 90), 2)
    asked = b"".join(
        _get(stream, "/100k") + frame(RST_STREAM, 0, stream, _CANCEL) for stream in streams
    )
    await _say(place, PREFACE + frame(SETTINGS, 0, 0, _NO_PUSH) + asked, read=_some)


async def _slow(place: Place, dice: random.Random) -> None:
    """Asks for much, opens its windows hardly, reads little, and leaves."""
    asked = b"".join(_get(stream, "/100k") for stream in range(1, 20, 2))
    settings = frame(SETTINGS, 0, 0, dice.choice([_NARROW, _NO_PUSH]))
    await _say(place, PREFACE + settings + asked, read=_slowly)


async def _leaves(place: Place, dice: random.Random) -> None:
    """Asks for pages with pushes, and is gone."""
    asked = b"".join(_get(stream, "/page") for stream in range(1, 10, 2))
    await _say(place, PREFACE + frame(SETTINGS, 0, 0, b"") + asked, read=_nothing)


async def _garbage(place: Place, dice: random.Random) -> None:
    """Says what is no HTTP, or HTTP/2 that breaks off into noise."""
    start = dice.choice([b"", PREFACE + frame(SETTINGS, 0, 0, b"") + _get(1, "/1k")])
    await _say(place, start + dice.randbytes(dice.randint(1, 2000)), read=_some)


async def _http1_breaks_off(place: Place, dice: random.Random) -> None:
    """HTTP/1.1 that stops in the middle of a head or of a body."""
    whole = b"POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n12345"
    await _say(place, whole[: dice.randint(1, len(whole))], read=_nothing)


VISITS: Final[dict[str, Visit]] = {
    "h2load": _steady,
    "h2load, HTTP/1.1": _steady_http1,
    "h2load, uploads": _uploads,
    "nghttp, pushes": _nghttp,
    "headstart.AsyncClient, pushes": _pushes,
    "headstart.AsyncClient, upload": _streamed_upload,
    "resets": _resets,
    "slow readers": _slow,
    "leave at once": _leaves,
    "garbage": _garbage,
    "HTTP/1.1 breaks off": _http1_breaks_off,
}
"""What they are called -> what they do."""

PROGRAMS: Final = ("h2load", "nghttp")
