"""Messages between the main process and those that serve: JSON behind its length.

    length (4 bytes, big endian) | JSON in UTF-8

    main process    {"id": 1, "ask": "health", "with": {}}
    a worker        {"id": 1, "answer": ...}
    a worker        {"id": 1, "error": "ValueError: ..."}
    a worker        {"last": ...}                           its last words

Both ends are ours, in processes of one user. Called by `workers` and `reporter`.
"""

from __future__ import annotations

import asyncio
import json
import struct
from typing import Any, Final

_LENGTH: Final = struct.Struct(">I")
# A map of 10,000 pages is about 20 MB; more is a mistake, and would fill the memory.
_LONGEST: Final = 64 * 1024 * 1024


def packed(message: dict[str, Any]) -> bytes:
    """Return a message as bytes."""
    text = json.dumps(message, separators=(",", ":")).encode()
    return _LENGTH.pack(len(text)) + text


async def receive(reader: asyncio.StreamReader) -> dict[str, Any] | None:
    """Return the next message, or None if the other end is gone.

    Raises:
        ValueError: The bytes are not a message.
    """
    try:
        (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
        if length > _LONGEST:
            raise ValueError(f"a message of {length} bytes")
        message = json.loads(await reader.readexactly(length))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    if not isinstance(message, dict):
        raise ValueError("a message that is not an object")
    return message
