"""httpx with `headstart.httpx.AsyncTransport`, for `worker`."""

from __future__ import annotations

import httpx

from bench.clients import with_httpx
from headstart.httpx import AsyncTransport


class Session(with_httpx.Session):
    """See `worker.Session`."""

    def transport(self) -> httpx.AsyncBaseTransport:
        return AsyncTransport(http1=False, verify=False)
