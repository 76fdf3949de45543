"""headstart.AsyncClient, for `worker`."""

from __future__ import annotations

from headstart.client import AsyncClient


class Session:
    """See `worker.Session`."""

    def __init__(self, origin: str) -> None:
        self._client = AsyncClient(origin, insecure=True, timeout=60)

    async def __aenter__(self) -> Session:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._client.aclose()

    async def get(self, path: str) -> bytes:
        response = await self._client.get(path)
        if response.status_code != 200:
            raise RuntimeError(f"status {response.status_code}")
        return response.content

    async def download(self, path: str) -> int:
        size = 0
        async with self._client.stream("GET", path) as response:
            async for part in response.aiter_bytes():
                size += len(part)
        return size
