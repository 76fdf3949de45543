"""Every option, declared once.

A field's metadata is its help; the command line and the environment derive from it (see `cli`).
Frozen, picklable (uvicorn hands it to its worker processes), imported by every room.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, TypeAlias

from headstart.errors import ConfigurationError
from headstart.hosts import ascii_host

# RFC 9110, 5.6.2: also what a cookie's name is made of (RFC 6265, 4.1.1).
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")

# Host and port as far as they cannot end the field, or the authority of a URL.
_AUTHORITY = re.compile(r"[A-Za-z0-9._~\[\]:%-]*")
# Python, uvicorn and we take about 40 MB; whoever gives less has mistaken the unit.
_LEAST_MEMORY = 32 * 1024 * 1024
LOG_FORMATS = ("text", "json")
# Windows are given back by halves, so DATA that fills them comes in frames of half their size.
_LEAST_WINDOW = 512


Unit: TypeAlias = Literal["", "size", "share", "port"]
"""The unit of an option: bytes with KiB, MiB or GiB; a part of 1, above 0; a TCP port, or 0."""


def option(
    default: Any,
    help: str,
    *,
    unit: Unit = "",
    zero: bool = False,
    choices: tuple[str, ...] = (),
) -> Any:
    """Return a dataclass field that the command line shows, with all that it needs to know.

    Args:
        default: Its type is the option's.
        help: A sentence or two.
        unit: Numbers without one are above 0.
        zero: An integer without a unit may be 0, and the help says what that means.
        choices: All values that there are, of a word.
    """
    known = {"help": help, "unit": unit, "zero": zero, "choices": choices}
    return field(default=default, metadata=known)


@dataclass(frozen=True, slots=True, kw_only=True)
class WireLimits:
    """Limits on the cost of one HTTP/2 connection. Sizes in bytes.

    `wire` reads them, and `server.http1_parser` those on fields and targets. What the server alone
    reads is in `ServerOptions`.
    """

    max_concurrent_streams: int = option(
        100, "Streams that a client may have open at once, and as many promised ones."
    )
    stream_window: int = option(64 * 1024, "Request body in flight on one stream.")
    connection_window: int = option(1024 * 1024, "Request bodies in flight on one connection.")
    max_stream_window: int = option(
        4 * 1024 * 1024,
        "What the window of a stream may grow to while its application reads as fast as it comes.",
    )
    max_connection_window: int = option(
        8 * 1024 * 1024, "What the window of a connection may grow to, likewise."
    )
    max_header_count: int = option(100, "Fields in one request; more are answered 431.")
    max_header_size: int = option(
        16 * 1024, "Size of a request's fields, decoded; more is answered 431."
    )
    max_target_size: int = option(8 * 1024, "Length of path and query; more is answered 414.")
    max_queued_stream: int = option(256 * 1024, "Response body waiting on one stream.")
    max_queued_connection: int = option(1024 * 1024, "Response bodies waiting on one connection.")
    max_pushes_per_request: int = option(64, "Pushes that one request may cause.")
    max_hint_size: int = option(8 * 1024, "Length of the Link fields in one 103.")
    max_resets: int = option(
        1000,
        "Streams that may be reset at once, a thirtieth of that each second besides, and one for "
        "each request that is answered, before the connection ends gracefully. A request that is "
        "given up 50 ms after it was made, or later, counts a quarter; a mistake counts five.",
    )
    max_control_rate: int = option(
        100,
        "PING and SETTINGS frames a second, twice as many in a burst; "
        "as many again of those that ask for nothing, such as PRIORITY.",
    )
    max_window_updates: int = option(
        10, "WINDOW_UPDATE frames for each DATA frame sent, after the first hundred."
    )
    max_requests: int = option(
        10_000,
        "Requests on one HTTP/2 connection, which then ends gracefully; a client makes a new one.",
    )

    def __post_init__(self) -> None:
        for name in ("stream_window", "connection_window"):
            size = getattr(self, name)
            if size < _LEAST_WINDOW:
                raise ConfigurationError(
                    f"a {name} of {size} bytes would make clients send a few bytes at a time",
                    hint=f"give it at least {_LEAST_WINDOW}.",
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientLimits:
    """Limits on the cost of one HTTP/2 connection to a server. Sizes in bytes, times in seconds."""

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
    """Limits on the resources sent ahead with a page. Sizes in bytes, times in seconds."""

    max_assets: int = option(64, "Assets that one page sends ahead.")
    max_push_bytes: int = option(256 * 1024, "Bytes that one page pushes.")
    push_bytes_at_once: int = option(
        64 * 1024, "Bytes that a page may push however soon it answers itself."
    )
    push_rate: int = option(
        2_500_000, "Bytes that a page may push besides for each second that it takes to answer."
    )
    max_hint_bytes: int = option(
        4 * 1024 * 1024,
        "Bytes that one page's 103 or Link announces; the client orders them itself.",
    )
    max_link_size: int = option(4 * 1024, "Length of the links that one page sends.")
    max_link_size_http1: int = option(
        1024,
        "The same over HTTP/1.1, where a proxy in front may take 4 KiB of fields in all; less if "
        "the response's own fields leave less.",
    )
    min_push_fetching: float = option(
        0.25,
        "A client is pushed to if clients like it fetch assets so often. Robots ignore hints, but "
        "not pushes.",
    )
    push_named: bool = option(
        True,
        "Push also, while a page's HTML goes out, what it names and the learner did not know of.",
    )
    min_probability: float = option(0.5, "How likely an asset must be asked for with its page.")
    min_again: float = option(
        0.2, "How likely a client that had an asset must ask for it again with a page."
    )
    min_lifetime: float = option(
        1.0, "How long an asset must stay fresh to be named in a 103, beside the page's think time."
    )
    min_think_time: float = option(
        0.001, "A page that usually answers sooner gets no 103: it would win nothing."
    )
    hint_http1: bool = option(False, "Send a 103 also over HTTP/1.1 (RFC 8297, 3).")
    links: bool = option(True, "Send a Link field where neither push nor 103 works.")
    server_timing: bool = option(
        True, "Tell in Server-Timing how a page's assets were sent, on pages for one client alone."
    )
    server_timing_shared: bool = option(
        False, "Send Server-Timing also with pages that a shared cache may keep."
    )
    cookie: str = option(
        "", "Name of a cookie that remembers what its client was sent; without a name, none is set."
    )

    def __post_init__(self) -> None:
        for probability in (self.min_probability, self.min_again):
            if not 0 <= probability <= 1:
                raise ConfigurationError(
                    f"{probability} is not a probability", hint="give a number from 0 to 1."
                )
        if self.cookie and not _TOKEN.fullmatch(self.cookie):
            raise ConfigurationError(
                f"{self.cookie!r} is not a valid cookie name",
                hint="use letters, digits, hyphens and underscores.",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheOptions:
    """The shared cache of a server process. Sizes in bytes."""

    usual_size: ClassVar[int] = 64 * 1024 * 1024

    cache: int = option(
        0, "Memory of each worker's cache, for instance 32MiB; 0 for none (RFC 9111).", unit="size"
    )
    max_cache_entry: int = option(
        1024 * 1024, "Largest content that the cache stores.", unit="size"
    )
    cache_control: str = option(
        "", "Folder where `headstart cache` finds the server; by default in your runtime folder."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """Options of the server beside uvicorn's own."""

    limits: WireLimits = WireLimits()
    deliver: DeliverOptions = DeliverOptions()
    caching: CacheOptions = CacheOptions()
    push: bool = option(True, "Offer Server Push to clients that accept it.")
    early_hints: bool = option(True, "Offer 103 Early Hints.")
    hint_unmarked_clients: bool = option(
        False,
        "Send a 103 also to programs such as curl, which send no Sec-Fetch-* fields and do not ask "
        "for HTML first, as browsers do.",
    )
    rum: bool = option(
        False,
        "Serve /.headstart/rum.js, a script for your pages, and show in `headstart map` how soon "
        "browsers painted them with assets sent ahead and without.",
    )
    pathsend: bool = option(
        False,
        "Offer http.response.pathsend over HTTP/2. Compressing middleware lets such files pass as "
        "they are, or fails, and pages that go so are not read.",
    )
    preface_timeout: float = option(
        10.0, "Seconds that a client has to say which protocol it speaks."
    )
    stall_timeout: float = option(
        60.0, "Seconds after which a client that reads nothing of what waits for it is cut off."
    )
    min_read_rate: int = option(
        256,
        "Bytes a second that a client must take of what waits for its HTTP/2 windows, over the "
        "stall timeout; a client that gives its windows back by halves takes far more.",
    )
    idle_timeout: float = option(
        60.0, "Seconds after which an HTTP/2 connection without streams ends, PINGs or not."
    )
    ping_interval: float = option(
        30.0,
        "Seconds of silence after which a client with HTTP/2 requests under way is asked by PING "
        "whether it is there; if that has reached nobody after as long, its connection ends.",
    )
    header_timeout: float = option(
        10.0, "Seconds that the fields of a request may take, from their first byte to their last."
    )
    body_timeout: float = option(30.0, "Seconds over which the rate of a request's body is taken.")
    min_body_rate: int = option(
        1024,
        "Bytes a second that a request's body must come with, while the application waits for it.",
    )
    drain_timeout: float = option(
        30.0, "Seconds that the streams of a connection have which ends gracefully."
    )
    call_grace: float = option(
        math.inf,
        "Seconds that a call of the application may go on after its client has left, before it is "
        "cancelled; inf for as long as it takes. One whose request never came whole has 5 at most.",
    )
    max_abandoned_calls: int = option(
        100, "Such calls of one worker; over it, the oldest is cancelled at once."
    )
    wsgi_threads: int = option(
        40, "Threads of one worker that call a WSGI application (--interface wsgi)."
    )
    wsgi_gather: int = option(
        16 * 1024 * 1024,
        "Content of a request without Content-Length, for instance 32MiB, that is gathered before "
        "a WSGI application is called; 0 to gather none.",
        unit="size",
    )
    log_format: str = option(
        "text", "Format of the log: text, or json for one JSON object a line.", choices=LOG_FORMATS
    )
    tracing: bool = option(
        False,
        "Make OpenTelemetry spans of requests and pushes, for the SDK that you have set up, and "
        "pass them on in traceparent.",
    )
    redirect_http: int = option(
        0, "Port on which requests over HTTP are redirected to https; 0 for none.", unit="port"
    )
    proxy_protocol: bool = option(
        False,
        "Expect a header of the PROXY protocol, version 1 or 2, on each connection, as load "
        "balancers send it that pass TCP on. Others than --forwarded-allow-ips are refused.",
    )
    handshake_timeout: float = option(10.0, "Seconds that a TLS handshake may take.")
    max_connections: int = option(
        1000, "Connections that one worker holds; more are closed at once."
    )
    max_connections_per_address: int = option(
        100,
        "Connections that one worker holds for one address, or for one /64 of IPv6; 0 for any "
        "number. Those of --forwarded-allow-ips stand for many clients and are not counted.",
        zero=True,
    )
    max_unused_connections: int = option(
        50,
        "Connections a second that one address may make without asking for anything, ten times as "
        "many at once, before those that follow are closed; 0 for any number. Counted as the "
        "connections of an address are.",
        zero=True,
    )
    max_window_growth: int = option(
        64 * 1024 * 1024,
        "Bytes by which the windows of one worker's connections may grow together.",
    )
    max_memory: int = option(
        0,
        "Bytes of memory (RSS) above which one worker takes no new connections; from 7/8 of it on "
        "it takes no new requests. 0 for four fifths of the machine's, or of the control group's, "
        "divided by --workers.",
        unit="size",
    )

    def __post_init__(self) -> None:
        if self.log_format not in LOG_FORMATS:
            raise ConfigurationError(
                f"{self.log_format!r} is not a format of the log", hint="give text or json."
            )
        if 0 < self.max_memory < _LEAST_MEMORY:
            raise ConfigurationError(
                f"max_memory is {self.max_memory} bytes, but a worker takes more before it serves "
                "anybody",
                hint=f"give it at least {_LEAST_MEMORY}, or 0 for a share of the machine's.",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminOptions:
    """The port for the operator: pages, metrics, health."""

    admin: str = option(
        "",
        "HOST:PORT of a port for you alone, with metrics and health, for instance 127.0.0.1:9001. "
        "Without it there is none.",
    )
    admin_host: str = option(
        "",
        "Host names under which you ask for the admin port, separated by commas, beside localhost "
        "and IP addresses.",
    )
    admin_token_file: str = option(
        "",
        "File with the token that the admin port asks for, which it needs if other machines can "
        "reach it. HEADSTART_ADMIN_TOKEN in the environment does the same.",
    )

    def __post_init__(self) -> None:
        for name in ("admin_host", "admin_token_file"):
            if getattr(self, name) and not self.admin:
                raise ConfigurationError(
                    f"--{name.replace('_', '-')} is given without --admin, and there is no port",
                    hint="give --admin HOST:PORT too, for instance 127.0.0.1:9001.",
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyOptions:
    """How the reverse proxy asks its upstreams. Sizes in bytes, times in seconds."""

    upstream_host: str = option(
        "", "Host sent to the upstream. By default it gets the one that the client asked for."
    )
    upstream_cacert: str = option(
        "", "PEM file with the authorities that an https upstream's certificate may come from."
    )
    upstream_verify: bool = option(True, "Check the certificate of an https upstream.")
    upstream_connect_timeout: float = option(5.0, "Seconds that a connection may take.")
    upstream_response_timeout: float = option(
        60.0, "Seconds until the first byte of a response, and that a request waits for its turn."
    )
    upstream_read_timeout: float = option(
        60.0, "Seconds between two parts of a request's or a response's content."
    )
    upstream_idle_timeout: float = option(
        30.0, "Seconds that a connection is kept for the next request."
    )
    upstream_max_age: float = option(
        300.0,
        "Seconds after which a connection serves no more requests, so that the upstream's name is "
        "looked up again.",
    )
    upstream_rest: float = option(
        5.0, "Seconds that an upstream is left alone after it could not be connected to."
    )
    max_upstream_connections: int = option(
        100, "Connections to one upstream that a worker may have."
    )
    max_upstream_waiting: int = option(
        1000, "Requests that may wait for one of them; more are answered 503."
    )
    max_upstream_header_size: int = option(
        64 * 1024, "Size of a response's header section; a larger one is answered 502."
    )
    max_upstream_informational: int = option(32, "1xx responses before the final one.")
    via: bool = option(True, "Tell the upstream in Via that a proxy asks (RFC 9110, 7.6.3).")

    def __post_init__(self) -> None:
        name, colon, port = self.upstream_host.partition(":")
        host = ascii_host(name) + colon + port
        if not _AUTHORITY.fullmatch(host):
            raise ConfigurationError(
                f"{self.upstream_host!r} is not a host that can be sent to an upstream",
                hint="Give HOST or HOST:PORT.",
            )
        object.__setattr__(self, "upstream_host", host)
