"""Every option, declared once.

A field's metadata is its help; the command line and the environment derive from it (see `cli`).
Frozen, picklable (uvicorn hands it to its worker processes), imported by every room.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


def option(default: Any, help: str) -> Any:
    """A dataclass field whose help text the command line shows."""
    return field(default=default, metadata={"help": help})


@dataclass(frozen=True, slots=True, kw_only=True)
class WireLimits:
    """What one HTTP/2 connection may cost. Sizes in bytes."""

    max_concurrent_streams: int = option(
        100, "Streams that a client may have open at once, and calls of the application alive."
    )
    stream_window: int = option(64 * 1024, "Request body in flight on one stream.")
    connection_window: int = option(1024 * 1024, "Request bodies in flight on one connection.")
    max_header_count: int = option(100, "Fields in one request; more are answered 431.")
    max_header_size: int = option(
        16 * 1024, "Size of a request's fields, decoded; more is answered 431."
    )
    max_target_size: int = option(8 * 1024, "Length of path and query; more is answered 414.")
    max_queued_stream: int = option(256 * 1024, "Response body waiting on one stream.")
    max_queued_connection: int = option(1024 * 1024, "Response bodies waiting on one connection.")
    max_pushes_per_request: int = option(10, "Pushes that one request may cause.")
    max_hint_size: int = option(8 * 1024, "Length of the Link fields in one 103.")
    max_resets: int = option(
        200, "Streams that may be reset, at once or within a minute, before the connection closes."
    )
    max_control_rate: int = option(
        100, "PING and SETTINGS frames a second, twice as many in a burst."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """Options of the server beside uvicorn's own."""

    limits: WireLimits = WireLimits()
    push: bool = option(True, "Offer Server Push to clients that accept it.")
    early_hints: bool = option(True, "Offer 103 Early Hints.")
    hint_unmarked_clients: bool = option(
        True, "Send a 103 also to clients that send no Sec-Fetch-* fields at all, such as curl."
    )
    preface_timeout: float = option(
        10.0, "Seconds that a client has to say which protocol it speaks."
    )
    idle_timeout: float = option(
        60.0, "Seconds after which an HTTP/2 connection without streams ends."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientLimits:
    """What one HTTP/2 connection of ours to a server may cost. Sizes in bytes, times in seconds."""

    stream_window: int = option(1024 * 1024, "Response body in flight on one stream.")
    connection_window: int = option(4 * 1024 * 1024, "Response bodies in flight together.")
    max_header_count: int = option(256, "Fields in one response.")
    max_header_size: int = option(64 * 1024, "Size of a response's fields, decoded.")
    max_informational: int = option(32, "1xx responses before the final one.")
    max_queued_upload: int = option(256 * 1024, "Request body waiting on one stream.")
    max_pushes: int = option(100, "Pushed responses kept, and as many under way.")
    max_push_bytes: int = option(16 * 1024 * 1024, "Bytes of pushed responses kept.")
    max_push_age: float = option(300.0, "Seconds after which a pushed response is forgotten.")
