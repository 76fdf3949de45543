"""Messages of one WebSocket, put together from frames (RFC 6455, 5.4).

Pure. Small fragments are kept in one piece, since each by itself would take fifty bytes or more,
and it is counted which fragments bring nothing. Owned by `websocket.WebSocketConnection`.
"""

from __future__ import annotations

from typing import Final

from websockets.frames import Frame, Opcode

# Fragments below this are kept together.
_SMALL: Final = 1024


class Message:
    """The message that is under way.

    Attributes:
        size: Bytes that came of it.
    """

    __slots__ = ("_is_text", "_parts", "size")

    def __init__(self) -> None:
        self._parts: list[bytes | bytearray | memoryview] | None = None
        self._is_text = False
        self.size = 0

    @property
    def begun(self) -> bool:
        """Return true if a fragment has come, and the last one has not."""
        return self._parts is not None

    def add(self, frame: Frame) -> bytes | str | None:
        """Take a data frame; return the message if it is the last.

        Raises:
            UnicodeDecodeError: It is not the text that it says.
        """
        if frame.opcode is not Opcode.CONT:
            self._is_text = frame.opcode is Opcode.TEXT
        if self._parts is None:
            self._parts = []
        self._keep(self._parts, frame.data)
        if not frame.fin:
            return None
        parts, self._parts, self.size = self._parts, None, 0
        data = bytes(parts[0]) if len(parts) == 1 else b"".join(parts)
        return data.decode() if self._is_text else data

    def _keep(
        self, parts: list[bytes | bytearray | memoryview], data: bytes | bytearray | memoryview
    ) -> None:
        self.size += len(data)
        if not parts or len(data) >= _SMALL:
            parts.append(data)
        elif data:
            if not isinstance(parts[-1], bytearray):
                parts.append(bytearray())
            joined = parts[-1]
            assert isinstance(joined, bytearray)
            joined += data
