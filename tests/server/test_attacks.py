"""Rows of the tables in docs/security.md, attacked with raw frames over a real socket.

The server is a process of its own. While an attack goes on, another client asks for a page on its
own connection, and is answered; the server's memory and the application's calls are counted. How
long the other client waits is a figure of `bench.attacks`, which prints it as the table shows it.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from bench.attacks import FILE, Attack
from headstart.server import early
from headstart.wire.connection import ErrorCode
from tests.server.hostile import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PADDED,
    PING,
    PREFACE,
    PRIORITY,
    PRIORITY_UPDATE,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    UNKNOWN,
    WHOLE,
    WINDOW_UPDATE,
    WITH_PRIORITY,
    Hostile,
    Measured,
    Usual,
    block,
    frame,
    get,
    literal,
    number,
)
from tests.server.live import ServerProcess, serving, until

APP = "tests.server.attacked_app:app"
MEGABYTE = 1_000_000
STREAMS = 100
ABANDONED = 100
RESETS, MISTAKES_ALLOWED = 1000, 200
ROUNDS = 5
CROWD = 40
REQUESTS = 10_000
ANSWERS = 2000
"""Frames that a flood of ten times as many may cause at the most."""
PART = 16_384
INITIAL_WINDOW, CALM = 4, ErrorCode.ENHANCE_YOUR_CALM


@dataclass(slots=True)
class Watch:
    """What one attack cost.

    Attributes:
        grown: Bytes of memory at the most, more than before.
        took: Seconds that it went on.
    """

    process: Measured
    grown: int = 0
    took: float = 0.0

    def look(self) -> None:
        """Note how large the server is now."""
        self.grown = max(self.grown, self.process.grown)


@dataclass(frozen=True, slots=True)
class Counts:
    """Calls of the application, but for the other client's, and why connections ended.

    Attributes:
        alive, most: Now, and at the most since last asked.
        calls: In all.
        reasons: By their words.
    """

    alive: int
    most: int
    calls: int
    reasons: dict[str, int]

    def closed_for(self, words: set[str]) -> int:
        """Connections that ended for one of these reasons."""
        return sum(self.reasons.get(word, 0) for word in words)


class Target:
    """The attacked server, and another client of it."""

    def __init__(self, server: ServerProcess, usual: Usual) -> None:
        self.server = server
        self.port = server.port
        self._usual = usual
        self.median()  # the first connection, and what the application imports

    def median(self) -> float:
        """The other client's usual time."""
        self._usual.begin()
        before = Measured(self.server.process.pid)
        until(lambda: before.spent > 0.02, "a hundred requests or so")
        return statistics.median(self._usual.end())

    @contextmanager
    def under(self, name: str, most: int = 5 * MEGABYTE) -> Iterator[Watch]:
        """An attack: measures it, and asserts that the other client and the memory are unharmed.

        The other client's process fails where a page is not answered.
        """
        usual = self.median()
        watch = Watch(Measured(self.server.process.pid))
        self._usual.begin()
        begun = time.monotonic()
        try:
            yield watch
        finally:
            times = self._usual.end()
        watch.took = time.monotonic() - begun
        watch.look()
        spent, during = watch.process.spent, statistics.median(times)
        attack = Attack(name, spent, watch.grown, usual, during, len(times))
        if FILE in os.environ:
            if not attack.is_met:
                # It may be the machine that has become slower meanwhile.
                attack = replace(attack, usual=max(usual, self.median()))
            with Path(os.environ[FILE]).open("a") as figures:
                print(json.dumps(asdict(attack)), file=figures)
        assert watch.grown <= most

    @property
    def counts(self) -> Counts:
        """What the application and the server have counted."""
        with Hostile(self.port) as client:
            client.send(get(1, b"/counts"))
            told = json.loads(client.until(DATA, 1).payload)
        refusals = told.pop("refusals")
        return Counts(**told, reasons=refusals["connections"])


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    """A server with its defaults, but for the time that abandoned calls have."""
    with (
        serving(APP, "--no-learn", "--no-access-log", "--call-grace", "0.5") as server,
        Usual(server.port) as usual,
    ):
        yield Target(server, usual)


def stream(turn: int) -> int:
    """The id of the client's nth request."""
    return 2 * turn + 1


def post(turn: int, *fields: tuple[bytes, bytes]) -> bytes:
    """A request whose body is still to come."""
    return frame(HEADERS, END_HEADERS, stream(turn), block(b"/read", b"POST", fields))


def cancel(turn: int) -> bytes:
    """RST_STREAM, CANCEL."""
    return frame(RST_STREAM, 0, stream(turn), number(ErrorCode.CANCEL))


def ask(
    turn: int, more: bytes, flags: int = WHOLE, path: bytes = b"/", before: bytes = b""
) -> bytes:
    """A request with more behind its pseudo-header fields, or before them, as HPACK."""
    return frame(HEADERS, flags, stream(turn), before + block(path) + more)


def literal_kept(name: bytes, value: bytes) -> bytes:
    """A field that the dynamic table keeps as its first entry, 62 (RFC 7541, 6.2.1)."""
    return b"\x40" + literal(name, value)[1:]


def resets_in(seconds: float, connections: int = 1, most: int = RESETS) -> float:
    """How many so many connections may have of each other's resets, some anew each second."""
    return connections * (most + 1) + seconds * most / 30


GRACEFUL = {"reset-flood"}
"""Floods of requests: new ones are refused first, and calm follows where that was not heard."""
Segments = Callable[[], Iterator[bytes]]


@dataclass(frozen=True, slots=True)
class Flood:
    """An attack that repeats itself.

    Attributes:
        segments: What the client writes, one after the other.
        error: Of the GOAWAY that ends it.
        reasons: Words of which the server's log and counters give one.
        settings: Of the client.
    """

    segments: Segments
    reasons: set[str]
    error: ErrorCode = CALM
    settings: dict[int, int] | None = None


def again(make: Callable[[int], bytes], first: bytes = b"", count: int = 20_000) -> Segments:
    """Write `first`, then what `make` gives for each number, ten at once: on a busy machine, too,
    that is faster than what the server allows.
    """

    def segments() -> Iterator[bytes]:
        if first:
            yield first
        for turn in range(0, count, 10):
            yield b"".join(map(make, range(turn, turn + 10)))

    return segments


ONE = number(1)
HUNGRY = {INITIAL_WINDOW: 0}
# Where a segment holds more than a thousand PINGs, the engine is the first to have enough; and
# whether RST_STREAM meets its stream alive depends on the segments.
FLOODS = {
    "rapid reset (CVE-2023-44487)": Flood(
        again(lambda turn: get(stream(turn), b"/hang") + cancel(turn)), {"reset-flood"}
    ),
    "rapid reset of uploads": Flood(again(lambda turn: post(turn) + cancel(turn)), {"reset-flood"}),
    "PING (CVE-2019-9512)": Flood(
        again(lambda turn: frame(PING, 0, 0, bytes(8))), {"control-flood", "engine-limit"}
    ),
    "SETTINGS (CVE-2019-9515)": Flood(
        again(lambda turn: frame(SETTINGS)), {"control-flood", "engine-limit"}
    ),
    "answers to no PING": Flood(
        again(lambda turn: frame(PING, ACK, 0, bytes(8))), {"useless-frames"}
    ),
    "PRIORITY (CVE-2019-9513)": Flood(
        again(lambda turn: frame(PRIORITY, 0, stream(turn), bytes(5))), {"useless-frames"}
    ),
    "PRIORITY_UPDATE": Flood(
        again(lambda turn: frame(PRIORITY_UPDATE, 0, 0, ONE + b"u=1"), get(1, b"/hang")),
        {"useless-frames"},
    ),
    "unknown frames": Flood(again(lambda turn: frame(UNKNOWN, 0, 0, b"x")), {"useless-frames"}),
    "RST_STREAM of what has ended": Flood(
        again(lambda turn: cancel(0), get(1) + cancel(0)), {"useless-frames"}
    ),
    "WINDOW_UPDATE": Flood(again(lambda turn: frame(WINDOW_UPDATE, 0, 0, ONE)), {"window-flood"}),
    "one-byte windows (CVE-2019-9511, CVE-2019-9517)": Flood(
        again(lambda turn: frame(WINDOW_UPDATE, 0, 1, ONE), get(1, b"/large")),
        {"window-flood"},
        settings=HUNGRY,
    ),
    "empty DATA (CVE-2019-9518)": Flood(
        again(lambda turn: frame(DATA, 0, 1), post(0)), {"useless-frames"}
    ),
    "CONTINUATION (CVE-2024-27316)": Flood(
        again(
            lambda turn: frame(CONTINUATION, 0, 1, literal(b"a", b"b")),
            frame(HEADERS, END_STREAM, 1, block()),
        ),
        {"continuation-flood"},
    ),
    "empty CONTINUATION": Flood(
        again(lambda turn: frame(CONTINUATION, 0, 1), frame(HEADERS, END_STREAM, 1, block())),
        {"continuation-flood"},
    ),
    "1,000 references to a field (CVE-2026-49975)": Flood(
        again(lambda turn: ask(turn + 1, b"\xbe" * 1000), ask(0, literal_kept(b"a", b"b"))),
        {"reset-flood"},
    ),
    "10,000 references to a field": Flood(
        again(lambda turn: ask(turn + 1, b"\xbe" * 10_000), ask(0, literal_kept(b"a", b"b"))),
        {"engine-limit"},
    ),
    "100 references to a large field": Flood(
        again(lambda turn: ask(turn + 1, b"\xbe" * 100), ask(0, literal_kept(b"a", b"x" * 3900))),
        {"engine-limit"},
    ),
}


@pytest.mark.parametrize("name", FLOODS)
def test_flood_ends_with_a_goaway_and_harms_nobody_else(name: str, target: Target) -> None:
    flood = FLOODS[name]
    before = target.counts

    with target.under(name) as watch:
        for _ in range(ROUNDS):
            with Hostile(target.port, flood.settings) as client:
                pour(client, flood.segments())
                watch.look()
                if flood.reasons & GRACEFUL:
                    first, *later = client.goaways
                    assert first is ErrorCode.NO_ERROR
                    assert later in ([], [flood.error])
                else:
                    assert client.goaways == [flood.error]
                assert len(client.heard) <= ANSWERS
    after = target.counts

    assert after.closed_for(flood.reasons) == before.closed_for(flood.reasons) + ROUNDS
    assert after.alive <= ABANDONED
    assert after.most <= STREAMS + 2 * ABANDONED
    assert after.calls - before.calls <= resets_in(watch.took, ROUNDS)


def pour(client: Hostile, segments: Iterator[bytes]) -> None:
    """Write until the server leaves, and hear it out."""
    for segment in segments:
        if client.goaways or not client.send(segment):
            break
        client.listen()
    client.until_closed()


MISTAKES: dict[str, Callable[[int], bytes]] = {
    "a content-length that is too small": lambda turn: (
        post(turn, (b"content-length", b"1")) + frame(DATA, END_STREAM, stream(turn), b"xx")
    ),
    "a content-length that is too large": lambda turn: (
        post(turn, (b"content-length", b"9")) + frame(DATA, END_STREAM, stream(turn), b"xx")
    ),
    "a pseudo-header field in trailers": lambda turn: (
        post(turn) + frame(HEADERS, WHOLE, stream(turn), literal(b":path", b"/"))
    ),
    "trailers without END_STREAM": lambda turn: (
        post(turn) + frame(HEADERS, END_HEADERS, stream(turn), literal(b"a", b"b"))
    ),
    "an upper-case name": lambda turn: ask(turn, literal(b"Name", b"value")),
    "no path": lambda turn: frame(HEADERS, WHOLE, stream(turn), b"\x82\x86"),
    "no fields at all": lambda turn: frame(HEADERS, WHOLE, stream(turn)),
    "empty names (CVE-2019-9516)": lambda turn: ask(turn, literal(b"", b"") * 50),
    "WINDOW_UPDATE by 0": lambda turn: (
        post(turn) + frame(WINDOW_UPDATE, 0, stream(turn), number(0))
    ),
    "WINDOW_UPDATE beyond 2^31": lambda turn: (
        post(turn) + frame(WINDOW_UPDATE, 0, stream(turn), number(2**31 - 1))
    ),
    "DATA after END_STREAM": lambda turn: (
        get(stream(turn), b"/hang") + frame(DATA, END_STREAM, stream(turn), b"x")
    ),
    "HEADERS after END_STREAM": lambda turn: get(stream(turn), b"/hang") + get(stream(turn)),
    # Nothing is read, or the window grows meanwhile and nothing is beyond it.
    "DATA beyond the window": lambda turn: (
        frame(HEADERS, END_HEADERS, stream(turn), block(b"/hang", b"POST"))
        + frame(DATA, 0, stream(turn), bytes(16_384)) * 5
    ),
    "padding longer than its frame": lambda turn: (
        post(turn) + frame(DATA, PADDED, stream(turn), b"\xff")
    ),
    "PRIORITY of four bytes": lambda turn: post(turn) + frame(PRIORITY, 0, stream(turn), bytes(4)),
    "PRIORITY that depends on itself": lambda turn: (
        post(turn) + frame(PRIORITY, 0, stream(turn), number(stream(turn)) + b"\x10")
    ),
    "HEADERS that depends on itself": lambda turn: frame(
        HEADERS, WHOLE | WITH_PRIORITY, stream(turn), number(stream(turn)) + b"\x10" + block()
    ),
    "RST_STREAM of three bytes": lambda turn: (
        post(turn) + frame(RST_STREAM, 0, stream(turn), bytes(3))
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_for_which_the_server_resets_are_counted_too(name: str, target: Target) -> None:
    """MadeYouReset, CVE-2025-8671, CVE-2019-9514: each mistake waits for what becomes of it."""
    mistake = MISTAKES[name]

    with target.under(name):
        for _ in range(ROUNDS):
            begun = time.monotonic()
            with Hostile(target.port) as client:
                for turn in range(20 * RESETS):
                    if not (client.send(mistake(turn)) and heard_of(client, stream(turn))):
                        break
                client.until_closed()
            assert len(client.goaways) == 1
            took = time.monotonic() - begun
            assert len(client.resets()) <= resets_in(took, most=MISTAKES_ALLOWED)
    counts = target.counts

    assert counts.alive <= ABANDONED
    assert counts.most <= STREAMS + 2 * ABANDONED


def heard_of(client: Hostile, number: int) -> bool:
    """Read until the stream was reset; False where the server has left instead."""
    while not client.resets(number):
        if client.goaways or not client.read():
            return False
    return True


def test_clients_that_ask_and_leave_pile_up_no_calls(target: Target) -> None:
    """Rapid reset by connections: each leaves a hundred calls behind."""
    with target.under("connect, ask a hundred times, leave", most=8 * MEGABYTE) as watch:
        for _ in range(20):
            with Hostile(target.port) as client:
                client.send(b"".join(get(stream(turn), b"/hang") for turn in range(STREAMS)))
                client.settle()
                watch.look()
    most = target.counts.most
    until(lambda: target.counts.alive == 0, "the end of what was left behind")

    # Those that are cancelled end a turn of the loop later.
    assert most <= STREAMS + 2 * ABANDONED


def test_streams_over_the_limit_reach_no_application(target: Target) -> None:
    """Without acknowledging our SETTINGS, a client may not know the limit: it is refused."""
    before = target.counts

    with target.under("open streams for ever"), Hostile(target.port, ack=False) as client:
        for turn in range(2 * REQUESTS):
            client.send(get(stream(turn), b"/hang"))
            client.listen()
            if client.goaways:
                break
    after = target.counts

    assert set(client.resets()) == {ErrorCode.REFUSED_STREAM}
    assert client.goaways[0] is ErrorCode.NO_ERROR
    assert after.most <= STREAMS + 2 * ABANDONED
    assert after.calls - before.calls <= STREAMS


def test_streams_over_a_limit_that_was_acknowledged_end_the_connection(target: Target) -> None:
    before = target.counts

    with target.under("open streams, the limit acknowledged"):
        for _ in range(ROUNDS):
            with Hostile(target.port) as client:
                pour(client, (get(stream(turn), b"/hang") for turn in range(1000)))
            assert client.goaways == [ErrorCode.PROTOCOL_ERROR]
    after = target.counts

    assert after.most <= STREAMS + 2 * ABANDONED
    assert after.calls - before.calls <= ROUNDS * STREAMS


def test_uploads_that_go_on_behind_their_responses_are_bounded(target: Target) -> None:
    """Each has its response before it begins; the client sends all that its windows allow."""
    streams = [stream(turn) for turn in range(STREAMS)]
    before = target.counts.alive  # calls that clients of other attacks left, which may go on
    with target.under("uploads behind their responses") as watch, Hostile(target.port) as client:
        for number_ in streams:
            client.send(frame(HEADERS, END_HEADERS, number_, block(b"/", b"POST")))
        for number_ in streams:
            client.until(DATA, number_)
        sent = dict.fromkeys(streams, 0)
        windows = dict.fromkeys([0, *streams], 65_535)
        while len(client.resets()) < STREAMS:
            for heard in client.frames(WINDOW_UPDATE):
                if heard.stream in windows:
                    windows[heard.stream] += int.from_bytes(heard.payload, "big")
            client.heard = [heard for heard in client.heard if heard.kind != WINDOW_UPDATE]
            for number_ in streams:
                size = min(PART, windows[0], windows[number_])
                if size > 0 and not client.resets(number_):
                    client.send(frame(DATA, 0, number_, bytes(size)))
                    sent[number_] += size
                    windows[0] -= size
                    windows[number_] -= size
            open_windows = [one for one in streams if windows[one] > 0 and not client.resets(one)]
            if open_windows and windows[0] > 0:
                client.listen()  # it may go on, and the server may owe it nothing yet
            else:
                client.read()

    allowed = early.BYTES + watch.took * early.BYTES_A_SECOND
    assert sum(sent.values()) <= allowed + 2 * STREAMS * PART
    until(lambda: target.counts.alive <= before, "the end of the calls")


@pytest.mark.parametrize("read", [True, False], ids=["window 0", "TCP unread"])
def test_responses_that_nobody_takes_are_bounded(read: bool, target: Target) -> None:
    """CVE-2019-9517 and slow reading: a hundred responses of 1 MB."""
    settings = {INITIAL_WINDOW: 0 if read else 2**31 - 1}
    with (
        target.under("100 MB asked for, " + ("window 0" if read else "TCP unread")) as watch,
        Hostile(target.port, settings) as client,
    ):
        if not read:
            client.send(frame(WINDOW_UPDATE, 0, 0, number(2**31 - 1 - 65_535)))
        before = target.counts.calls
        client.send(b"".join(get(stream(turn), b"/large") for turn in range(STREAMS)))
        until(lambda: target.counts.calls - before >= STREAMS - 10, "the calls")
        watch.look()

    assert target.counts.most <= STREAMS + 2 * ABANDONED


def test_request_that_is_too_large_is_answered_and_its_neighbour_unharmed(target: Target) -> None:
    """CVE-2026-49975 below the hard limit: 99 streams of 120 references each."""
    with (
        target.under("99 header sections of 120 references") as watch,
        Hostile(target.port) as client,
    ):
        client.send(ask(0, literal_kept(b"a", b"")) + post(1))
        client.settle()
        for turn in range(2, STREAMS):
            client.send(ask(turn, b"\xbe" * 120, flags=END_HEADERS))
        client.send(ask(STREAMS, b"", path=b"/" + b"x" * 9000))
        client.send(frame(DATA, END_STREAM, stream(1), b"x"))
        statuses = [client.status(stream(turn)) for turn in range(STREAMS + 1)]
        watch.look()

    assert statuses == [200, 200, *[431] * (STREAMS - 2), 414]
    assert client.until(DATA, stream(1)).payload == b"read"
    assert client.goaways == []


@pytest.mark.parametrize("path", [b"/read", b"/hang"], ids=["read", "unread"])
def test_body_in_frames_of_a_byte_costs_what_it_says(path: bytes, target: Target) -> None:
    """CVE-2019-9518: 60,000 of them, which would be 4 MB if each were kept by itself."""
    with (
        target.under(f"60,000 DATA frames of a byte, {path.decode()}", MEGABYTE) as watch,
        Hostile(target.port) as client,
    ):
        client.send(frame(HEADERS, END_HEADERS, 1, block(path, b"POST")))
        client.send(frame(DATA, 0, 1, b"x") * 60_000 + frame(DATA, END_STREAM, 1, b"x"))
        client.settle()
        watch.look()
        client.send(cancel(0) if path == b"/hang" else b"")
        client.settle()

    assert client.goaways == []
    assert path == b"/hang" or client.until(DATA, 1).payload == b"read"


REFUSED: dict[str, dict[str, Any]] = {
    "Host contradicts :authority": {"fields": [(b"host", b"other.test")]},
    "a comma in the authority": {"authority": b"a.test,b.test"},
    "userinfo": {"authority": b"user@localhost"},
    "no authority": {"authority": b""},
    "a fragment": {"path": b"/#fragment"},
    "an octet of eight bits": {"path": b"/\xff"},
    "an absolute target": {"path": b"http://localhost/"},
    "a lower-case method": {"method": b"get"},
    "another scheme": {"scheme": b"ftp"},
    "a field that shadows another": {"fields": [(b"content_length", b"1")]},
    "Host with another port": {"fields": [(b"host", b"localhost:8080")]},
    "Host with the port of https": {"fields": [(b"host", b"localhost:443")]},
    "Host with a dot more": {"fields": [(b"host", b"localhost.")]},
    "Connection": {"fields": [(b"connection", b"close")]},
    "Transfer-Encoding": {"fields": [(b"transfer-encoding", b"chunked")]},
    "Upgrade": {"fields": [(b"upgrade", b"websocket")]},
    "TE with a coding": {"fields": [(b"te", b"gzip")]},
    "extended CONNECT": {"method": b"CONNECT", "fields": [(b":protocol", b"websocket")]},
    "an unknown pseudo-header field": {"fields": [(b":other", b"x")]},
    "a length with a sign": {"fields": [(b"content-length", b"-1")]},
    "two lengths in one": {"fields": [(b"content-length", b"0, 0")]},
    "a control character": {"fields": [(b"a", b"\x7f")]},
}


@pytest.mark.parametrize("name", REFUSED)
def test_request_that_is_not_well_formed_never_reaches_the_application(
    name: str, target: Target
) -> None:
    before = target.counts.calls

    with Hostile(target.port) as client:
        client.send(frame(HEADERS, WHOLE, 1, spelled(**REFUSED[name])))
        client.settle()
        client.send(get(3))
        page = client.until(DATA, 3).payload

    assert client.resets(1) or client.status(1) == 400
    assert page == b"page"
    assert target.counts.calls == before


def test_connect_and_host_in_trailers_never_reach_the_application(target: Target) -> None:
    before = target.counts.calls

    with Hostile(target.port) as client:
        connect = literal(b":method", b"CONNECT") + literal(b":authority", b"localhost:80")
        client.send(frame(HEADERS, END_HEADERS, 1, connect))
        client.send(post(1) + frame(HEADERS, WHOLE, 3, literal(b"host", b"other.test")))
        client.settle()

    assert client.resets(1) or client.status(1) == 400
    assert target.counts.calls - before <= 1
    assert b"other.test" not in b"".join(heard.payload for heard in client.heard)


def spelled(
    method: bytes = b"GET",
    scheme: bytes = b"http",
    authority: bytes = b"localhost",
    path: bytes = b"/",
    fields: Iterable[tuple[bytes, bytes]] = (),
) -> bytes:
    """The header section of a request with every part as given; without an empty authority."""
    pairs = [(b":method", method), (b":scheme", scheme), (b":path", path)]
    if authority:
        pairs.append((b":authority", authority))
    return b"".join(literal(*pair) for pair in [*pairs, *fields])


TABLE_SIZE = (1).to_bytes(2, "big")
CHANGES = b"\x20" * 16_000
"""Of the header table's size, to 0 (RFC 7541, 6.3)."""
COSTLY: dict[str, Callable[[int], bytes]] = {
    "the size of the header table, back and forth": lambda turn: (
        frame(SETTINGS, 0, 0, TABLE_SIZE + number(turn % 2 * 4096)) + get(stream(turn))
    ),
    "16,000 changes of the table's size in a request": lambda turn: ask(turn, b"", before=CHANGES),
    "3,200 cookie crumbs": lambda turn: ask(turn, literal_kept(b"cookie", b"a=b") + b"\xbe" * 3200),
    "16 KB of trailers": lambda turn: (
        post(turn) + frame(HEADERS, WHOLE, stream(turn), literal(b"a", b"x" * 150) * 90)
    ),
    "Expect: 100-continue": lambda turn: (
        post(turn, (b"expect", b"100-continue")) + frame(DATA, END_STREAM, stream(turn), b"x")
    ),
    "8 KB of path": lambda turn: ask(turn, b"", path=b"/?" + b"%07d" % turn * 1100),
}


@pytest.mark.parametrize("name", COSTLY)
def test_what_is_allowed_and_costs_the_most_harms_nobody_else(name: str, target: Target) -> None:
    make = COSTLY[name]

    with target.under(name), Hostile(target.port) as client:
        for turn in range(150):
            client.send(make(turn))
            client.until(HEADERS, stream(turn))
        client.settle()

    assert client.goaways == []
    assert client.resets() == []


def test_pushes_that_the_client_resets_pile_up_no_calls(target: Target) -> None:
    """Each page promises ten of what never answers; clients cancel freely (RFC 9113, 8.4.2)."""
    promised = 0
    with target.under("pages whose pushes are reset") as watch, Hostile(target.port) as client:
        for turn in range(100):
            client.send(get(stream(turn), b"/pushing"))
            client.until(DATA, stream(turn))
            pushed = [f.payload[:4] for f in client.frames(PUSH_PROMISE, stream(turn))]
            resets = (frame(RST_STREAM, 0, int.from_bytes(n, "big"), number(8)) for n in pushed)
            client.send(b"".join(resets))
            promised += len(pushed)
            watch.look()
    most = target.counts.most
    until(lambda: target.counts.alive == 0, "the end of what was left behind")

    assert 0 < promised <= 1000
    assert client.goaways == []
    assert most <= STREAMS + 2 * ABANDONED


def test_first_settings_say_what_is_allowed(target: Target) -> None:
    with Hostile(target.port) as client:
        said = client.until(SETTINGS, 0).payload

    found = {
        said[at + 1]: int.from_bytes(said[at + 2 : at + 6], "big") for at in range(0, len(said), 6)
    }
    assert found == {3: STREAMS, 4: 64 * 1024, 6: 16 * 1024, 8: 1, 9: 1}


FORBIDDEN = {
    "5.1/8 DATA after RST_STREAM": (
        [post(0) + cancel(0), frame(DATA, END_STREAM, 1, b"x")],
        ErrorCode.STREAM_CLOSED,
    ),
    "5.1/9 HEADERS after RST_STREAM": ([post(0) + cancel(0), get(1)], ErrorCode.STREAM_CLOSED),
    "5.1/11 DATA on a closed stream": (
        [get(1), frame(DATA, END_STREAM, 1, b"x")],
        ErrorCode.STREAM_CLOSED,
    ),
    "5.1/12 HEADERS on a closed stream": ([get(1), get(1)], ErrorCode.STREAM_CLOSED),
    "5.1.1/2 a lower stream": ([get(5), get(3)], ErrorCode.PROTOCOL_ERROR),
    "5.3.1/1 HEADERS that depends on itself": (
        [frame(HEADERS, WHOLE | WITH_PRIORITY, 1, number(1) + b"\xff" + block())],
        ErrorCode.PROTOCOL_ERROR,
    ),
    "5.3.1/2 PRIORITY that depends on itself": (
        [frame(PRIORITY, 0, 1, number(1) + b"\xff")],
        ErrorCode.PROTOCOL_ERROR,
    ),
    "6.3/1 PRIORITY on stream 0": (
        [frame(PRIORITY, 0, 0, bytes(5))],
        ErrorCode.PROTOCOL_ERROR,
    ),
}


@pytest.mark.parametrize("name", FORBIDDEN)
def test_frame_that_the_engine_ignores_ends_the_connection(name: str, target: Target) -> None:
    """The cases of h2spec that nghttp2 does not answer, under h2spec's own numbers."""
    segments, expected = FORBIDDEN[name]

    with Hostile(target.port) as client:
        for segment in segments:
            client.send(segment)
            if segment is not segments[-1]:
                client.settle()
        client.until_closed()

    assert client.goaways == [expected]


def test_crowd_that_says_nothing_is_sent_away() -> None:
    """Slowloris: half a preface, half a request, a body that does not come, a window that is 0."""
    times = ("preface", "header", "body", "stall", "idle")
    short = [word for name in times for word in (f"--{name}-timeout", "1")]
    begun = [get(1)[:-1], frame(HEADERS, 0, 1, block()), post(0), get(1, b"/large"), b""]
    with (
        serving(APP, "--no-learn", "--no-access-log", *short) as server,
        Usual(server.port) as usual,
        ExitStack() as crowd,
    ):
        target = Target(server, usual)
        with target.under("a crowd that says nothing"):
            silent = [crowd.enter_context(Hostile(server.port, greet=False)) for _ in range(CROWD)]
            speaking = [crowd.enter_context(Hostile(server.port, HUNGRY)) for _ in range(CROWD)]
            for client in silent:
                client.send(PREFACE[:10])
            for turn, client in enumerate(speaking):
                client.send(begun[turn % len(begun)])
            for client in [*silent, *speaking]:
                until_gone(client)

        assert {heard for client in speaking for heard in client.goaways} == {ErrorCode.NO_ERROR}


def until_gone(client: Hostile) -> None:
    """Read until the server closes the connection, or the stream whose body did not come."""
    while not client.resets() and client.read():
        pass


@pytest.mark.cost
def test_memory_that_attackers_fill_comes_back_while_they_stay() -> None:
    """Header sections of requests that hang, 1.3 MB on each connection, until pages are refused."""
    most = 120 * MEGABYTE
    with (
        serving(APP, "--no-learn", "--no-access-log", "--max-memory", str(most)) as server,
        ExitStack() as crowd,
    ):
        process = Measured(server.process.pid)
        other = crowd.enter_context(Hostile(server.port))
        other.send(get(1, b"/hang"))
        holders: list[Hostile] = []
        while (outcome := page(server.port)) == "served":
            holders.append(crowd.enter_context(Hostile(server.port)))
            for turn in range(STREAMS):
                holders[-1].send(frame(HEADERS, WHOLE, stream(turn), hoard(turn)))
            assert process.rss() < 2 * most
        refused_at = time.monotonic()
        until(lambda: page(server.port) == "served", "the recovery")
        print(f"\nmemory is full: served again after {time.monotonic() - refused_at:.1f} s")

        assert outcome in ("refused", "closed")
        for holder in holders:
            holder.listen()
        assert any(holder.closed for holder in holders)
        other.settle()  # who holds little is left alone


def hoard(turn: int) -> bytes:
    """A header section that is as large as may be, and of which no two fields are alike."""
    fields = [(b"x-%d" % n, b"%090d" % (turn * STREAMS + n)) for n in range(90)]
    return block(b"/hang", fields=fields)


def page(port: int) -> str:
    """What becomes of a request."""
    with Hostile(port) as client:
        client.send(get(1))
        while client.read():
            if client.frames(DATA):
                return "served"
            if client.resets():
                return "refused"
    return "closed"
