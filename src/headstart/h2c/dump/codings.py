"""Content without its coding, as archives have it (RFC 9110, 8.4).

Pure: octets and a Content-Encoding in, the content out, where it is gzip or deflate, which Python
can undo. Called by `har`.
"""

from __future__ import annotations

import zlib

LONGEST = 4 * 1024 * 1024
"""Octets of content that are made of what was sent; a few KiB can stand for gigabytes."""

_GZIP = zlib.MAX_WBITS + 16
# RFC 9110, 8.4.1.2 asks for the zlib format.
_WINDOWS = {b"gzip": _GZIP, b"x-gzip": _GZIP, b"deflate": zlib.MAX_WBITS}


def undone(body: bytes, coding: bytes) -> bytes | None:
    """The content.

    Args:
        body: All that was sent.
        coding: The value of Content-Encoding.

    Returns:
        None where the coding is another one or none, where the body is not in it, and where the
        content would be too long.
    """
    window = _WINDOWS.get(coding.strip().lower())
    if window is None or not body:
        return None
    decoder = zlib.decompressobj(window)
    try:
        content = decoder.decompress(body, LONGEST)
    except zlib.error:
        return None
    return content if decoder.eof else None
