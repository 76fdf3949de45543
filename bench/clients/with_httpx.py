"""httpx with HTTP/2, for `worker`."""

from __future__ import annotations

import httpx


class Session:
    """See `worker.Session`."""

    def __init__(self, origin: str) -> None:
        # One connection; http1=False is prior knowledge in cleartext, and ALPN's only offer in TLS.
        self._client = httpx.AsyncClient(
            base_url=origin, transport=self.transport(), timeout=60, trust_env=False
        )

    def transport(self) -> httpx.AsyncBaseTransport:
        return httpx.AsyncHTTPTransport(
            http1=False, http2=True, verify=False, limits=httpx.Limits(max_connections=1)
        )

    async def __aenter__(self) -> Session:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._client.aclose()

    async def get(self, path: str) -> bytes:
        response = await self._client.get(path)
        if response.status_code != 200 or response.http_version != "HTTP/2":
            raise RuntimeError(f"status {response.status_code}, {response.http_version}")
        return response.content

    async def download(self, path: str) -> int:
        size = 0
        async with self._client.stream("GET", path) as response:
            async for part in response.aiter_raw():
                size += len(part)
        return size
