"""niquests, for `worker`."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

_PART: Final = 256 * 1024
_HTTP2: Final = 20  # as http.client numbers versions


class Session:
    """See `worker.Session`."""

    def __init__(self, origin: str) -> None:
        # Imported by name: it is installed for `make bench` alone, and checked without it. One
        # connection is its default for HTTP/2.
        niquests = import_module("niquests")
        self._session: Any = niquests.AsyncSession(
            base_url=origin, disable_http1=True, disable_http3=True
        )

    async def __aenter__(self) -> Session:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._session.close()

    async def get(self, path: str) -> bytes:
        response = await self._session.get(path, verify=False)
        if response.status_code != 200 or response.http_version != _HTTP2:
            raise RuntimeError(f"status {response.status_code}, version {response.http_version}")
        content: bytes = response.content
        return content

    async def download(self, path: str) -> int:
        size = 0
        response = await self._session.get(path, stream=True, verify=False)
        async for part in await response.iter_raw(_PART):
            size += len(part)
        return size
