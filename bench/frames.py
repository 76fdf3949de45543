"""HTTP/2 frames by hand, for the clients that must be faster than what they measure.

An engine would be better behaved, and would cost a client in Python more than a server in C spends
on the same request. Pure; read by `pushes`, `latency` and `idle`.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY = 0, 1, 3, 4, 5, 6, 7
END_STREAM, ACK, PADDED, END_HEADERS = 0x1, 0x1, 0x8, 0x4
FRAME_HEADER: Final = 9
HEADER: Final = Struct(">HBBBI")
"""Length's upper 16 bits, its lower 8, type, flags, stream."""
MAX_WINDOW: Final = 2**31 - 1


def frame(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    """One frame's bytes (RFC 9113, 4.1)."""
    head = len(payload).to_bytes(3, "big") + bytes((kind, flags))
    return head + stream_id.to_bytes(4, "big") + payload


def window_update(amount: int) -> bytes:
    """WINDOW_UPDATE for the connection."""
    return frame(8, 0, 0, amount.to_bytes(4, "big"))


def no_push() -> bytes:
    """SETTINGS that refuse pushes, and a connection window that never runs dry."""
    return frame(SETTINGS, 0, 0, b"\0\2\0\0\0\0") + window_update(MAX_WINDOW - 65535)


def request_fields(authority: bytes, path: bytes, *, tls: bool = False) -> bytes:
    """A header section that leaves the HPACK tables as they are (RFC 7541, 6.2.2).

    Args:
        authority: Shorter than 127 bytes, like `path`.
    """
    # 0x82 is `:method: GET`, 0x86 `:scheme: http`; 1 and 4 name `:authority` and `:path`.
    method_and_scheme = b"\x82\x87" if tls else b"\x82\x86"
    return method_and_scheme + _literal(1, authority) + _literal(4, path)


def _literal(name: int, value: bytes) -> bytes:
    return bytes((name, len(value))) + value
