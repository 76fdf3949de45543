"""A transport whose ends are those that a load balancer names.

The peer's and the server's address are those of the PROXY protocol's header. Everything else is the
transport's own, and received bytes go straight to the protocol. Made by `protocol`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from headstart.server.addresses import REAL_SOCKET
from headstart.server.proxy_header import Address


class ProxiedTransport(asyncio.Transport):
    """A connection of a load balancer, on behalf of a client.

    Args:
        raw: The load balancer's.
        source: The client's address.
        destination: The address that the client connected to.
    """

    __slots__ = ("_ends", "_raw")

    def __init__(self, raw: asyncio.Transport, source: Address, destination: Address) -> None:
        super().__init__()
        self._raw = raw
        self._ends: dict[str, Any] = {"peername": source, "sockname": destination, "socket": None}

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """See `asyncio.BaseTransport.get_extra_info`."""
        if name in self._ends:
            return self._ends[name]
        return self._raw.get_extra_info("socket" if name == REAL_SOCKET else name, default)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write."""
        self._raw.write(data)

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Write all of it."""
        self._raw.writelines(list_of_data)

    def can_write_eof(self) -> bool:
        """Return whether one side can be ended."""
        return self._raw.can_write_eof()

    def write_eof(self) -> None:
        """End this side."""
        self._raw.write_eof()

    def close(self) -> None:
        """Close once all written bytes are sent."""
        self._raw.close()

    def abort(self) -> None:
        """Close at once."""
        self._raw.abort()

    def is_closing(self) -> bool:
        """Return whether nothing can be written any more."""
        return self._raw.is_closing()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Give received bytes to another protocol."""
        self._raw.set_protocol(protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the protocol that gets received bytes."""
        return self._raw.get_protocol()

    def is_reading(self) -> bool:
        """Return whether received bytes reach the protocol."""
        return self._raw.is_reading()

    def pause_reading(self) -> None:
        """Stop reading."""
        self._raw.pause_reading()

    def resume_reading(self) -> None:
        """Read again."""
        self._raw.resume_reading()

    def get_write_buffer_size(self) -> int:
        """Return the bytes that wait to be written."""
        return self._raw.get_write_buffer_size()

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return the low and the high water mark."""
        return self._raw.get_write_buffer_limits()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set the water marks."""
        self._raw.set_write_buffer_limits(high, low)
