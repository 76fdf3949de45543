"""Every option, declared once.

A field's metadata is its help; the command line and the environment derive from it (see `cli`).
Frozen, picklable (uvicorn hands it to its worker processes), imported by every room.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from headstart.errors import ConfigurationError

# RFC 9110, 5.6.2: also what a cookie's name is made of (RFC 6265, 4.1.1).
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")

# Python, uvicorn and we take about 40 MB; whoever gives less has mistaken the unit.
_LEAST_MEMORY = 32 * 1024 * 1024


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
        100,
        "PING and SETTINGS frames a second, twice as many in a burst; "
        "as many again of those that ask for nothing, such as PRIORITY.",
    )
    max_window_updates: int = option(
        10, "WINDOW_UPDATE frames for each DATA frame sent, after the first hundred."
    )
    min_data_size: int = option(
        256,
        "Average size that a thousand DATA frames must have which come faster than PINGs may.",
    )
    max_requests: int = option(
        10_000, "Requests on one connection, which then ends gracefully; a client makes a new one."
    )

    def __post_init__(self) -> None:
        # Windows are given back by halves, so that DATA from whoever fills them is half as large.
        least = 2 * self.min_data_size
        for name in ("stream_window", "connection_window"):
            size = getattr(self, name)
            if size < least:
                raise ConfigurationError(
                    f"a {name} of {size} bytes would make clients send less than min_data_size",
                    hint=f"give it at least twice that, {least}.",
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientLimits:
    """What one HTTP/2 connection of ours to a server may cost. Sizes in bytes, times in seconds."""

    stream_window: int = option(1024 * 1024, "Response body in flight on one stream.")
    connection_window: int = option(4 * 1024 * 1024, "Response bodies in flight together.")
    max_header_count: int = option(256, "Fields in one response.")
    max_header_size: int = option(64 * 1024, "Size of a response's fields, decoded.")
    max_informational: int = option(32, "1xx responses before the final one.")
    max_control_rate: int = option(
        100,
        "PING and SETTINGS frames a second, twice as many in a burst; "
        "as many again of those that ask for nothing.",
    )
    max_window_updates: int = option(
        10, "WINDOW_UPDATE frames for each DATA frame sent, after the first hundred."
    )
    max_queued_upload: int = option(256 * 1024, "Request body waiting on one stream.")
    max_pushes: int = option(100, "Pushed responses kept, and as many under way.")
    max_push_bytes: int = option(16 * 1024 * 1024, "Bytes of pushed responses kept.")
    max_push_age: float = option(300.0, "Seconds after which a pushed response is forgotten.")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverOptions:
    """What a page may send ahead, and when. Sizes in bytes, times in seconds."""

    max_assets: int = option(10, "Assets that one page sends ahead.")
    max_push_bytes: int = option(256 * 1024, "Bytes that one page pushes.")
    push_bytes_at_once: int = option(
        64 * 1024, "Bytes that a page may push however soon it answers itself."
    )
    push_rate: int = option(
        2_500_000, "Bytes that a page may push besides for each second that it takes to answer."
    )
    max_hint_bytes: int = option(
        1024 * 1024, "Bytes that one page's 103 or Link announces; the client orders them itself."
    )
    max_link_size: int = option(4 * 1024, "Length of the links that one page sends.")
    min_probability: float = option(0.5, "How likely an asset must be asked for with its page.")
    min_lifetime: float = option(1.0, "How long an asset must stay fresh.")
    min_think_time: float = option(
        0.001, "A page that usually answers sooner gets no 103: it would win nothing."
    )
    hint_http1: bool = option(False, "Send a 103 also over HTTP/1.1 (RFC 8297, 3).")
    links: bool = option(True, "Send a Link field where neither push nor 103 works.")
    cookie: str = option(
        "", "Name of a cookie that remembers what its client was sent; without a name, none is set."
    )

    def __post_init__(self) -> None:
        if not 0 <= self.min_probability <= 1:
            raise ConfigurationError(
                f"{self.min_probability} is no probability", hint="give a number from 0 to 1."
            )
        if self.cookie and not _TOKEN.fullmatch(self.cookie):
            raise ConfigurationError(
                f"{self.cookie!r} is no name of a cookie",
                hint="use letters, digits, hyphens and underscores.",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """Options of the server beside uvicorn's own."""

    limits: WireLimits = WireLimits()
    deliver: DeliverOptions = DeliverOptions()
    push: bool = option(True, "Offer Server Push to clients that accept it.")
    early_hints: bool = option(True, "Offer 103 Early Hints.")
    hint_unmarked_clients: bool = option(
        True, "Send a 103 also to clients that send no Sec-Fetch-* fields at all, such as curl."
    )
    preface_timeout: float = option(
        10.0, "Seconds that a client has to say which protocol it speaks."
    )
    stall_timeout: float = option(
        30.0, "Seconds after which a client that reads nothing of what waits for it is cut off."
    )
    min_read_rate: int = option(
        256,
        "Bytes a second that a client must take of what waits for its HTTP/2 windows, over the "
        "stall timeout; a client that gives its windows back by halves takes far more.",
    )
    idle_timeout: float = option(
        60.0, "Seconds after which an HTTP/2 connection without streams ends, PINGs or not."
    )
    header_timeout: float = option(
        10.0, "Seconds that the fields of a request may take, from their first byte to their last."
    )
    body_timeout: float = option(10.0, "Seconds over which the rate of a request's body is taken.")
    min_body_rate: int = option(
        1024,
        "Bytes a second that a request's body must come with, while the application waits for it.",
    )
    drain_timeout: float = option(
        30.0, "Seconds that the streams of a connection have which ends gracefully."
    )
    call_grace: float = option(
        5.0,
        "Seconds that a call of the application may go on after its client has left; "
        "then it is cancelled.",
    )
    max_abandoned_calls: int = option(
        100, "Such calls of one worker; over it, the oldest is cancelled at once."
    )
    handshake_timeout: float = option(10.0, "Seconds that a TLS handshake may take.")
    max_connections: int = option(
        1000, "Connections that one worker holds; more are closed at once."
    )
    max_connections_per_address: int = option(
        100,
        "Connections that one worker holds for one address, or for one /64 of IPv6; 0 for any "
        "number. Those of --forwarded-allow-ips stand for many clients and are not counted.",
    )
    max_unused_connections: int = option(
        50,
        "Connections a second that one address may make without asking for anything, ten times as "
        "many at once, before those that follow are closed; 0 for any number. Counted as the "
        "connections of an address are.",
    )
    max_memory: int = option(
        0,
        "Bytes of memory (RSS) above which one worker takes no new connections; from 7/8 of it on "
        "it takes no new requests. 0 for four fifths of the machine's, or of the control group's, "
        "divided by --workers.",
    )

    def __post_init__(self) -> None:
        if 0 < self.max_memory < _LEAST_MEMORY:
            raise ConfigurationError(
                f"max_memory is {self.max_memory} bytes, but a worker takes more before it serves "
                "anybody",
                hint=f"give it at least {_LEAST_MEMORY}, or 0 for a share of the machine's.",
            )
