"""The site that every server of `tests.servers` serves.

All of them push STYLE and SCRIPT with PAGE, if they can push; those that know 103 name them in one
for HINTED, which they push nothing with.
"""

from __future__ import annotations

import random
from pathlib import Path

PAGE = "/page.html"
HINTED = "/hinted.html"
STYLE = "/style.css"
SCRIPT = "/script.js"

_HTML = b"<!doctype html><link rel=stylesheet href=/style.css><script src=/script.js></script>\n"

FILES: dict[str, bytes] = {
    PAGE: _HTML,
    HINTED: _HTML,
    STYLE: b"body { color: black }\n",
    SCRIPT: b"document.title = 'a page'\n",
    "/small.txt": b"small, without a newline at its end",
    "/empty.txt": b"",
    "/octets.bin": bytes(range(256)) * 5 + b"\r\n\x00",
    "/large.bin": random.Random(9113).randbytes(5_000_000),
}


def write(root: Path) -> None:
    """Make the files of the site."""
    for path, content in FILES.items():
        (root / path.removeprefix("/")).write_bytes(content)
