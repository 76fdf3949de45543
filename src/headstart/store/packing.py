"""Records as bytes for a medium that others may write to.

One record a line, so that one that cannot be read costs no other, and compressed: votes of one site
repeat its names. Pure. Called by `redis_journal`.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator

from headstart.errors import ConfigurationError
from headstart.learn.records import Record, from_plain, to_plain
from headstart.store.base import DamagedError


def pack(records: Iterable[Record]) -> bytes:
    """Return records as compressed lines of JSON."""
    packer = zlib.compressobj(level=1)
    parts = [packer.compress(_line(record)) for record in records]
    return b"".join((*parts, packer.flush()))


def unpack(packed: bytes, limit: int) -> tuple[list[Record], int]:
    """Return the records of `pack`, and how many lines are not records.

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
    records, lines = list[Record](), text.splitlines()
    for line in lines:
        records += _read(line)
    return records, len(lines) - len(records)


def _line(record: Record) -> bytes:
    return json.dumps(to_plain(record), separators=(",", ":")).encode() + b"\n"


def _read(line: bytes) -> Iterator[Record]:
    """Yield the record of a line, if it has one."""
    try:
        yield from_plain(json.loads(line))
    except (ValueError, TypeError, RecursionError, ConfigurationError):
        return
