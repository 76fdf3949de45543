"""What the client asks for when transcripts are recorded, and again when they are replayed.

Four requests at once, so that the streams are the same every time and a server's bytes need no
pause between them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Final

from headstart.client import AsyncClient, AsyncResponse
from headstart.errors import HeadstartError

AUTHORITY: Final = "example.test"


@dataclass(frozen=True, slots=True)
class Transcript:
    """What a server said.

    Attributes:
        greeting: Before the first request.
        rest: After the requests.
    """

    greeting: bytes
    rest: bytes

    @classmethod
    def parse(cls, data: bytes) -> Transcript:
        """As `bytes` made it."""
        end = 4 + int.from_bytes(data[:4], "big")
        return cls(data[4:end], data[end:])

    def __bytes__(self) -> bytes:
        return len(self.greeting).to_bytes(4, "big") + self.greeting + self.rest


async def tell(client: AsyncClient) -> list[bytes | HeadstartError]:
    """Ask, take what is pushed, and give the bodies, or the errors of our own tree."""
    # Pushes name the authority that was asked, wherever it was recorded.
    fields = {"host": AUTHORITY}
    asked = [
        client.get("/page.html", headers=fields),
        client.post("/echo", b"hello", headers=fields),
        client.get("/octets.bin", headers=fields),
        client.get("/trailers", headers=fields),
    ]
    return await asyncio.gather(*map(_outcome, asked))


async def _outcome(asking: Coroutine[Any, Any, AsyncResponse]) -> bytes | HeadstartError:
    try:
        response = await asking
        async for push in response.pushes:
            await (await push.response()).aread()
        return response.content
    except HeadstartError as error:
        return error
