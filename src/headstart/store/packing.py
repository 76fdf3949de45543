"""Records as bytes for a medium that others may write to.

One record a line, so that one that cannot be read costs no other, and compressed: votes of one site
repeat its names. Pure. Called by `redis_journal`.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable

from headstart.learn.records import Record, to_plain
from headstart.store.base import DamagedError, Decoded


def pack(records: Iterable[Record]) -> bytes:
    """Return records as compressed lines of JSON."""
    packer = zlib.compressobj(level=1)
    parts = [packer.compress(_line(record)) for record in records]
    return b"".join((*parts, packer.flush()))


def unpack(packed: bytes, limit: int) -> Decoded:
    """Return the records of `pack`, in this version or another one.

    Args:
        packed: Bytes that anybody may have written.
        limit: Bytes that they may be unpacked to.

    Raises:
        DamagedError: They were not written by `pack`, or are more than `limit`.
    """
    unpacker = zlib.decompressobj()
    try:
        text = unpacker.decompress(packed, limit)
    except zlib.error as error:
        raise DamagedError(f"not the learner's records: {error}") from error
    if not unpacker.eof:
        raise DamagedError(f"not the learner's records, or more than {limit:,} bytes of them")
    decoded = Decoded([])
    for line in text.splitlines():
        try:
            plain = json.loads(line)
        except (ValueError, RecursionError):
            decoded.unreadable += 1
        else:
            decoded.add(plain)
    return decoded


def _line(record: Record) -> bytes:
    return json.dumps(to_plain(record), separators=(",", ":")).encode() + b"\n"
