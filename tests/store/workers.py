"""Workers, their votes, and what an operator would be told, for the store's tests."""

from __future__ import annotations

import os
import resource
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Protocol

from headstart.learn import Request
from headstart.learn.counts import SeenAsset
from headstart.learn.learner import Learner
from headstart.learn.nodes import Level
from headstart.learn.records import PageRecord, Record, Tally, Vote
from headstart.learn.safety import Kind
from headstart.store import Place, RedisAddress, open_store, parse_place
from headstart.store.offline import saved
from headstart.store.redis import RedisStore
from headstart.store.sqlite import SqliteStore
from tests.redis_server import RedisServer

ORIGIN = "https://site.example"
_TURN = 0.9


def vote(path: str, asset: str = "/site.css", *, time: float = 1.0, voter: int = 7) -> Vote:
    return Vote(
        time=time,
        origin=ORIGIN,
        path=path,
        voter=voter,
        fresh=True,
        asked=(SeenAsset(asset, Kind.STYLE, "text/css", size=100, lifetime=60, verified=True),),
    )


def page(path: str, asset: str = "/site.css") -> PageRecord:
    tally = Tally(SeenAsset(asset, Kind.STYLE, "text/css"), 3.0, 3.0, True, 7, 0, 0.0, 0.0)
    return PageRecord(Level.PAGE, ORIGIN, path, 3.0, 3.0, 0.0, 0.0, (7, 8), 1.0, (tally,))


def versions() -> Iterator[Vote]:
    """Yield views of phones and desktops, and of two versions of a script, at one page."""
    for number in range(12):
        own = "/phone.css" if number % 2 else "/desk.css"
        script = f"/{'ab'[number // 2 % 2]}.js"
        both = vote("/versions", own, voter=number + 1)
        asked = (*both.asked, SeenAsset(script, Kind.SCRIPT, "text/javascript", verified=True))
        held = ("/b.js" if script == "/a.js" else "/a.js",) if number > 7 else ()
        yield replace(both, asked=asked, held=held, segment=number % 2)


def kept(place: Place) -> list[Record]:
    """What a worker that starts would load."""
    return saved(place, warn=Operator())


def address_of(server: RedisServer, query: str = "") -> RedisAddress:
    place = parse_place(server.url + query)
    assert isinstance(place, RedisAddress)
    return place


def paths(records: Sequence[Record]) -> list[str]:
    return [record.path for record in records if isinstance(record, Vote | PageRecord)]


@dataclass
class Operator:
    """Reads the log."""

    lines: list[str] = field(default_factory=list)

    def __call__(self, line: str) -> None:
        self.lines.append(line)

    def only_line(self) -> str:
        (line,) = self.lines
        assert "\n" not in line
        return line


@dataclass
class Clock:
    now: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class Worker:
    """A learner and its store, as the middleware ties them together."""

    def __init__(self, place: Place, clock: Clock | None = None) -> None:
        self.operator = Operator()
        self.clock = clock or Clock()
        self.learner = Learner()
        self.store: RedisStore | SqliteStore = (
            RedisStore(place, self.operator, clock=self.clock)
            if isinstance(place, RedisAddress)
            else SqliteStore(place, self.operator, clock=self.clock)
        )
        self.learner.absorb(self.store.load())

    def says(self, *records: Record) -> list[Record]:
        """One turn; what it absorbed."""
        image: list[Record] | None = None
        self.learner.absorb(records)
        if self.store.snapshot_due:
            image = list(self.learner.export())
        news = self.store.exchange([*records, *self.learner.sync(self.clock.now)], image)
        self.learner.absorb(news)
        return news

    def writes_snapshot(self) -> None:
        """Lets what there is grow old, and takes the two turns that a snapshot needs."""
        self.clock.now += 301.0
        self.says()
        self.says()
        assert not self.store.snapshot_due

    def knows(self, path: str) -> bool:
        return any(row.page == ORIGIN + path for row in self.learner.rows())

    def sent_to(self, *, phone: bool) -> list[str]:
        """What somebody with a phone, or without one, is sent with the page of `versions`."""
        request = Request(ORIGIN, "/versions", "192.0.2.1", destination="document", phone=phone)
        view = self.learner.begin(request, self.clock.now)
        assert view is not None
        return sorted(candidate.target for candidate in view.judged)


def size(path: Path) -> int:
    """Bytes of the file and of what SQLite keeps beside it."""
    return sum(part.stat().st_size for part in path.parent.iterdir())


class Start(Protocol):
    """Starts a worker that the test need not end."""

    def __call__(self, place: Place, clock: Clock | None = None) -> Worker: ...


@contextmanager
def unprivileged_folder() -> Iterator[Path]:
    """A folder that somebody other than root can reach."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@contextmanager
def unprivileged() -> Iterator[None]:
    """File modes count for this process, whoever runs the tests."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


# What other processes do


@dataclass(frozen=True)
class Turn:
    """One exchange of a worker; times are the machine's, the same for all processes."""

    begun: float
    ended: float
    published: int
    learned: int


def run_worker(path: Path, pipe: Connection) -> None:
    """Publishes what it is sent and sends what it learns, about once a second, until None; then it
    sends its turns.
    """
    operator = Operator()
    store = open_store(path, operator)
    store.load()
    pipe.send("ready")
    due = time.monotonic() + _TURN
    turns: list[Turn] = []
    while True:
        outbox: list[Record] = []
        while pipe.poll(max(0.0, due - time.monotonic())):
            told = pipe.recv()
            if told is None:
                store.close()
                pipe.send(turns)
                return
            outbox.append(told)
        due += _TURN
        begun = time.monotonic()
        learned = store.exchange(outbox)
        turns.append(Turn(begun, time.monotonic(), len(outbox), len(learned)))
        for record in learned:
            pipe.send(record)


def publish_until_killed(path: Path, pipe: Connection) -> None:
    """Says which vote was published once it was."""
    store = open_store(path, Operator())
    store.load()
    number = 0
    while True:
        store.exchange([vote(f"/{number}")])
        pipe.send(number)
        number += 1


def compact_again_and_again(path: Path, name: str, turns: int) -> None:
    """A worker for which a snapshot is always due."""
    worker = Worker(path)
    for number in range(turns):
        worker.clock.now += 400.0
        worker.says(vote(f"/{name}/{number}", voter=number + 1))
    assert worker.operator.lines == []
    worker.store.close()


def run_out_of_disk(path: Path, pipe: Connection) -> None:
    """Publishes while files may not grow, and once more when they may; sends what it was told."""
    worker = Worker(path)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    for number in range(40):
        worker.says(*(vote(f"/full/{number}/{n}") for n in range(20)))
    pipe.send(worker.operator.lines[:])
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    worker.clock.now += 10.0
    worker.says(vote("/after"))
    pipe.send(worker.operator.lines[1:])
    worker.store.close()
