"""What the applications answer: path -> body; to an upload, how many bytes it had.

nghttpd serves the same as files. Read by both applications and by
`bench.servers`, in different processes.
"""

from __future__ import annotations

from typing import Final

HELLO: Final = b"Hello, world!"
PAGE: Final = b"<!doctype html><title>A page with ten assets</title>\n"
ASSET: Final = b"a" * 1024
ASSETS: Final = tuple(f"/asset/{number}" for number in range(10))
LARGE: Final = 1024**3
"""Bytes of what clients download; only nghttpd serves it."""
UPLOAD: Final = b"u" * 1024 * 1024
LONG: Final = "/long"
LONG_PARTS: Final = 50
"""Times `UPLOAD` that a long download has; nobody keeps it whole."""

BODIES: Final[dict[str, bytes]] = {
    "/": HELLO,
    "/1k": b"k" * 1024,
    "/100k": b"c" * (100 * 1024),
    "/upload": str(len(UPLOAD)).encode(),
    "/page": PAGE,
    **dict.fromkeys(ASSETS, ASSET),
}
