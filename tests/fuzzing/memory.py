"""A socket in memory."""

from __future__ import annotations

import asyncio

from tests.clock import ClockLoop


class Socket(asyncio.Transport):
    """A socket in memory: holds what the client has not read, and says when that is too much."""

    HIGH, LOW = 64 * 1024, 16 * 1024

    def __init__(
        self, protocol: asyncio.Protocol, loop: ClockLoop, client: str = "127.0.0.1"
    ) -> None:
        super().__init__({"peername": (client, 1), "sockname": ("127.0.0.1", 2)})
        self.protocol = protocol
        self._loop = loop
        self._held = bytearray()
        self._paused = False
        self._closing = self._ended = False
        self.lost = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self._closing, "written after close"
        assert not self._ended, "written after the end"
        self._held += data
        if len(self._held) > self.HIGH and not self._paused:
            self._paused = True
            self.protocol.pause_writing()

    def read(self, amount: int) -> bytes:
        """What the client reads."""
        data = bytes(self._held[:amount])
        del self._held[:amount]
        if self._paused and len(self._held) <= self.LOW and not self.lost:
            self._paused = False
            self.protocol.resume_writing()
        if self._closing and not self._held:
            self.abort()
        return data

    def get_write_buffer_size(self) -> int:
        return len(self._held)

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        self._closing = True
        if not self._held:
            self.abort()

    def abort(self) -> None:
        self._closing = True
        if not self.lost:
            self.lost = True
            self._loop.call_soon(self._lost)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        assert isinstance(protocol, asyncio.Protocol)
        self.protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self.protocol

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """As they are."""

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self._ended = True

    def pause_reading(self) -> None:
        """The client's bytes wait; nothing here comes so fast."""

    def resume_reading(self) -> None:
        """They go on."""

    def _lost(self) -> None:
        self.protocol.connection_lost(None)
