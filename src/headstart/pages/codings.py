"""Decode content codings up to a bound (RFC 9110, 8.4.1).

Pure: takes and returns bytes; never raises for any input, and decodes no more than requested.
Called by `reading`.
"""

from __future__ import annotations

import importlib
import zlib
from typing import Any

_GZIP = 16 + zlib.MAX_WBITS


def _load_brotli() -> Any:
    """Return Brotli's module, or None: it is not a dependency, and few applications send `br`."""
    try:
        return importlib.import_module("brotli")
    except ImportError:
        return None


_brotli = _load_brotli()
# Versions before 1.2 cannot be told how much to make of their input.
_BROTLI_IS_BOUNDED = _brotli is not None and hasattr(
    getattr(_brotli, "Decompressor", None), "can_accept_more_data"
)

KNOWN = frozenset(("", "identity", "gzip", "x-gzip", "deflate")) | (
    frozenset(("br",)) if _BROTLI_IS_BOUNDED else frozenset()
)
"""The values of Content-Encoding that can be undone."""


def undo(body: bytes, coding: str, most: int) -> tuple[bytes, bool] | None:
    """Return the beginning of the content, and whether it is all of it.

    Args:
        body: The beginning of the coded content.
        coding: A member of `KNOWN`.
        most: The length of the longest result.

    Returns:
        None if the body is not coded so.
    """
    if coding in ("", "identity"):
        return body[:most], len(body) <= most
    if coding == "br":
        return _undo_brotli(body, most)
    return _inflate(body, most, _GZIP if coding.endswith("gzip") else zlib.MAX_WBITS)


def _inflate(body: bytes, most: int, bits: int) -> tuple[bytes, bool] | None:
    inflater = zlib.decompressobj(bits)
    try:
        content = inflater.decompress(body, most)
    except zlib.error:
        # "deflate" should have zlib's header, and some servers leave that out.
        return _inflate(body, most, -zlib.MAX_WBITS) if bits == zlib.MAX_WBITS else None
    # RFC 1952, 2.2: more members may follow, whose content is not read.
    return content, inflater.eof and not inflater.unused_data


def _undo_brotli(body: bytes, most: int) -> tuple[bytes, bool] | None:
    decompressor = _brotli.Decompressor()
    try:
        content: bytes = decompressor.process(body, output_buffer_limit=most)
    except _brotli.error:
        return None
    return content[:most], decompressor.is_finished() and len(content) <= most
