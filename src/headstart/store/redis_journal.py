"""The keys in Redis: a journal of records, orders, a snapshot, and a claim on writing the next.

    {PREFIX}:journal    a stream; an entry for each exchange in which a worker had something to say
    {PREFIX}:orders     a stream; the operator's orders again, kept for a day
    {PREFIX}:snapshot   a hash; one worker's whole map, and the positions that it stands for
    {PREFIX}:claim      a string that expires; the worker that is about to write the snapshot

The braces are a hash tag: all keys of a fleet are on one node of a cluster, as a transaction needs.
An entry is deleted when the snapshot stands for it and each worker that is alive has had time to
read it. Where nobody writes a snapshot, the stream's greatest length bounds it. Keys that no server
uses expire.

A worker that gets no response does not know whether its entry was added, and adds it again. So
each entry has a number of its worker's own, and readers leave out entries that they have read.

Other programs may write to the same keys. Entries that cannot be read are left out.
Called by `redis` and `offline`.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from headstart.learn.records import Forgotten, Record, Rule
from headstart.learn.votes import weight
from headstart.store.base import DamagedError, Decoded
from headstart.store.packing import pack, unpack
from headstart.store.redis_client import transaction

if TYPE_CHECKING:
    from redis.client import Pipeline

    from headstart.store.redis_client import Client

Id: TypeAlias = tuple[int, int]
"""Of an entry: milliseconds on the server's clock, and a number within them."""

# A snapshot is due when so many bytes, as they are kept, would have to be read beside it, or when
# the first of them is so much older than the last.
DUE_BYTES = 512 * 1024
DUE_MILLISECONDS = 300_000
# How long an entry is kept for others after the snapshot stands for it, and how much of them.
_KEPT_MILLISECONDS = 60_000
_KEPT_BYTES = 4 * 1024 * 1024
# The greatest lengths of the streams, which hold where no snapshot is written.
_MAX_ENTRIES = 10_000
_MAX_ORDERS = 1000
_ORDERS_SECONDS = 86_400
_KEYS_SECONDS = 30 * 86_400
# Whoever says that it will write the snapshot, and does not, loses its turn after this.
_CLAIM_MILLISECONDS = 15_000
# About the bytes of memory that the records of one entry take; more are split.
_ENTRY = 256 * 1024
# Entries of one response, and responses of one exchange; the next exchange reads on.
_BATCH = 100
_BATCHES = 20
# Bytes that an entry and the snapshot may take, packed or unpacked: ours are far below.
_ENTRY_LIMIT = 4 * 1024 * 1024
_SNAPSHOT_LIMIT = 64 * 1024 * 1024
# Workers whose numbers are remembered, and the digits of a number, which is one of 64 bits.
_WORKERS = 10_000
_DIGITS = 20

_START: Id = (0, 0)
_STATE = ("birth", "previous", "upto", "author", "author_upto", "trimmed")


@dataclass(frozen=True, slots=True)
class Position:
    """How far a worker has read, in which journal.

    Attributes:
        birth: Tells the journal from its successor, where the server was emptied.
        read: The last entry that was read or written.
    """

    birth: bytes
    read: Id


@dataclass(frozen=True, slots=True)
class Entry:
    """Records that a worker publishes at once.

    Attributes:
        number: Above that of each entry that the worker made before.
        records: Packed.
        orders: The operator's orders among them, packed as well, or empty.
    """

    number: int
    records: bytes
    orders: bytes


@dataclass(frozen=True, slots=True)
class _State:
    """The entries that the snapshot stands for.

    Attributes:
        birth: Of the journal.
        previous: Of the journal before it, if the author had read that.
        upto, author, author_upto: It holds entries up to `upto`, and its author's own up to
            `author_upto`. The author is empty until a snapshot is written.
        trimmed: Entries up to this have been deleted.
    """

    birth: bytes
    previous: bytes
    upto: Id
    author: bytes
    author_upto: Id
    trimmed: Id

    def holds(self, worker: bytes, entry: Id) -> bool:
        """Return whether the snapshot stands for this entry."""
        return entry <= self.upto or (worker == self.author and entry <= self.author_upto)


_NOTHING = _State(b"", b"", _START, b"", _START, _START)


@dataclass(frozen=True, slots=True)
class _Known:
    """An entry as this worker remembers it."""

    id: Id
    worker: bytes
    size: int


class RedisJournal:
    """The keys of one fleet, as one worker sees them. Raises redis-py's errors as they come.

    Records are in `found` as soon as they are read, so that they are not lost if the next command
    fails.

    Attributes:
        client: Its commands are the server's; the owner may replace it by another.
        found: Records of other workers, in the order in which `Learner.absorb` is to take them. The
            caller empties the list.
        position: How far this worker has read, or None before it has read anything.
        unreadable: How many entries and records were left out so far.
        newer: How many records of a newer version were left out so far.
    """

    def __init__(self, client: Client, prefix: str) -> None:
        self.client = client
        self._journal, self._orders, self._snapshot, self._claim = (
            f"{{{prefix}}}:{name}" for name in ("journal", "orders", "snapshot", "claim")
        )
        self._worker = secrets.token_hex(8).encode()
        self._number = 0
        self._numbers: dict[bytes, int] = {}
        self._known: deque[_Known] = deque(maxlen=_MAX_ENTRIES)
        # The snapshot that this worker has read, and the last that it has heard of.
        self._read: _State | None = None
        self._state: _State | None = None
        self._caught_up = False
        # The journal that this worker has read and that is gone, until a snapshot stands for it.
        self._lost = b""
        self.found: list[Record] = []
        self.position: Position | None = None
        self.unreadable = self.newer = 0

    # Exchanging

    def entries(self, records: Iterable[Record]) -> list[Entry]:
        """Return records as entries, each with a number of its own."""
        return [self._entry(chunk) for chunk in _chunks(records)]

    def exchange(self, entries: Sequence[Entry]) -> None:
        """Publish entries, all or none of them, and find the new entries of others."""
        if self.position is None:
            self.load()
        assert self.position is not None
        before = self.position
        state, batch = self._turn(entries, before.read)
        if state is None or state.birth != before.birth:
            self._succeed(before, state or self._make())
        elif before.read < state.trimmed:
            # This worker was away for long. The snapshot shows an order to forget only as a gap.
            self._find_orders(before.read)
            self.load()
        else:
            self._state = state
            if state.previous == self._lost:
                self._lost = b""
            self._take(batch)
            if not self._caught_up:
                self._read_on()

    def publish(self, entries: Sequence[Entry]) -> None:
        """Publish entries, all or none of them, and read nothing."""
        with self.client.pipeline() as pipe:
            self._add(pipe, entries)
            pipe.execute()

    def find_all(self) -> None:
        """Find all that is known, however much that is, and write nothing."""
        self._load(make=False)
        while not self._caught_up:
            self._read_on()

    def load(self) -> None:
        """Find the snapshot, and as many entries after it as one exchange reads."""
        self._load(make=True)

    def _load(self, *, make: bool) -> None:
        state, packed = self._read_snapshot()
        decoded = Decoded([])
        if state is not None and state.author:
            try:
                decoded = unpack(packed, _SNAPSHOT_LIMIT)
            except DamagedError:
                decoded.unreadable = 1
                if make:
                    # A running worker then writes a new one.
                    self._remove_snapshot(state)
                    state = None
        records = self._counted(decoded)
        self._begin_after(state or (self._make() if make else _NOTHING))
        self.found += records
        self._read_on()

    def _read_snapshot(self) -> tuple[_State | None, bytes]:
        """Return the state and the packed records of the snapshot; b"" where these are enormous."""
        fields = [*_STATE, "records"]
        if self.client.hstrlen(self._snapshot, "records") > _SNAPSHOT_LIMIT:
            fields.remove("records")
        said = self.client.hmget(self._snapshot, fields)
        return _state(said[: len(_STATE)]), b"".join(map(_bytes, said[len(_STATE) :]))

    def _succeed(self, before: Position, state: _State) -> None:
        """Go on in the journal that took the place of the one that this worker has read."""
        if not state.author:
            # The server was emptied. This worker knows its contents, and others may not.
            self._lost = before.birth
            self._begin_after(state)
        elif state.previous == before.birth and state.trimmed == _START:
            # The snapshot stands for the journal that this worker has read. It may stand for
            # entries of the new one as well, which this worker has not read.
            self._begin_after(state)
            self._read, self.position = None, Position(state.birth, _START)
        else:
            if state.previous != before.birth:
                self._lost = before.birth
            self.load()
            return
        self._read_on()

    def _turn(self, entries: Sequence[Entry], read: Id) -> tuple[_State | None, list[Any]]:
        """Publish, and return the snapshot's state and the next entries of all workers."""
        with self.client.pipeline(transaction=bool(entries)) as pipe:
            self._add(pipe, entries)
            pipe.hmget(self._snapshot, list(_STATE))
            pipe.xrange(self._journal, min=f"({_text(read)}", count=_BATCH)
            *_, state, batch = pipe.execute()
        return _state(state), batch

    def _add(self, pipe: Pipeline, entries: Sequence[Entry]) -> None:
        for entry in entries:
            fields: dict[Any, Any] = {"worker": self._worker, "number": entry.number}
            pipe.xadd(self._journal, fields | {"records": entry.records}, maxlen=_MAX_ENTRIES)
            if entry.orders:
                pipe.xadd(self._orders, fields | {"records": entry.orders}, maxlen=_MAX_ORDERS)
                pipe.expire(self._orders, _ORDERS_SECONDS)
        if entries:
            pipe.expire(self._journal, _KEYS_SECONDS)

    def _make(self) -> _State:
        """Give the journal its number, unless another worker was first."""
        self.client.hsetnx(self._snapshot, "birth", secrets.token_hex(8))
        self.client.expire(self._snapshot, _KEYS_SECONDS)
        made = _state(self.client.hmget(self._snapshot, list(_STATE)))
        if made is None:
            raise DamagedError("the snapshot's key is taken by another program")
        return made

    def _remove_snapshot(self, damaged: _State) -> None:
        """Remove a snapshot that cannot be read, unless another worker was first."""

        def remove(pipe: Pipeline) -> None:
            state = _state(pipe.hmget(self._snapshot, list(_STATE)))
            pipe.multi()
            if state == damaged:
                pipe.delete(self._snapshot)

        self.client.transaction(remove, self._snapshot)

    def _begin_after(self, state: _State) -> None:
        """Read on after the entries that a snapshot stands for."""
        self._read = self._state = state
        self._known.clear()
        self._caught_up = False
        self.position = Position(state.birth, state.upto)

    def _read_on(self) -> None:
        """Find entries of others behind the position, as many as one exchange reads."""
        for _ in range(_BATCHES):
            assert self.position is not None
            self._take(self._range(self._journal, self.position.read, _BATCH))
            if self._caught_up:
                break

    def _find_orders(self, read: Id) -> None:
        """Find the operator's orders since then that this worker has not read.

        Each stream numbers its entries within a millisecond for itself, so all of that millisecond
        are looked at.
        """
        for _, said in self._range(self._orders, (read[0], 0), _MAX_ORDERS, inclusive=True):
            fields = _fields_of(said)
            worker = fields.get(b"worker", b"")
            if worker != self._worker and _number(fields) > self._numbers.get(worker, 0):
                records = self._unpacked(fields.get(b"records", b""), _ENTRY_LIMIT)
                self.found += filter(_is_order, records)

    def _range(self, stream: str, read: Id, count: int, *, inclusive: bool = False) -> list[Any]:
        first = _text(read) if inclusive else f"({_text(read)}"
        return self.client.xrange(stream, min=first, count=count) or []

    # Entries

    def _entry(self, records: Sequence[Record]) -> Entry:
        self._number += 1
        orders = list(filter(_is_order, records))
        return Entry(self._number, pack(records), pack(orders) if orders else b"")

    def _take(self, batch: list[Any]) -> None:
        """Find the records that this worker does not know, and move the position behind them."""
        assert self.position is not None
        for text, said in batch:
            fields = _fields_of(said)
            entry, worker = _id(text), fields.get(b"worker", b"")
            self._known.append(_Known(entry, worker, sum(map(len, fields.values()))))
            held = self._read is not None and self._read.holds(worker, entry)
            if worker != self._worker and not held and self._is_new(fields):
                self.found += self._unpacked(fields.get(b"records", b""), _ENTRY_LIMIT)
            self.position = Position(self.position.birth, entry)
        self._caught_up = len(batch) < _BATCH

    def _is_new(self, fields: dict[bytes, bytes]) -> bool:
        """Return whether an entry was not read before; remember that it is now."""
        number = _number(fields)
        if not number:
            self.unreadable += 1
            return False
        worker = fields[b"worker"]
        before = self._numbers.pop(worker, 0)
        self._numbers[worker] = max(before, number)
        if len(self._numbers) > _WORKERS:
            del self._numbers[next(iter(self._numbers))]
        return number > before

    def _unpacked(self, packed: bytes, limit: int) -> list[Record]:
        """Return the records that can be read."""
        if len(packed) > limit:
            self.unreadable += 1
            return []
        try:
            return self._counted(unpack(packed, limit))
        except DamagedError:
            self.unreadable += 1
            return []

    def _counted(self, decoded: Decoded) -> list[Record]:
        """Return the records that were read, and count the others."""
        self.unreadable += decoded.unreadable
        self.newer += decoded.newer
        return decoded.records

    # The snapshot

    def claim(self, *, force: bool) -> bool:
        """Return whether a snapshot is due, or `force`d, and this worker is the one to write it."""
        if not (force or self._is_due()) or not self._caught_up:
            return False
        taken = self.client.set(self._claim, self._worker, nx=True, px=_CLAIM_MILLISECONDS)
        return bool(taken) or self.client.get(self._claim) == self._worker

    def replace_snapshot(self, records: Iterable[Record], upto: Position) -> bool:
        """Write the snapshot of all that this worker knows.

        Args:
            records: The worker's map, with the entries that it read up to `upto`.
            upto: Where it was when the records were made.

        Returns:
            Whether it was written. It is not if there is a newer one, or if this worker has missed
            entries.
        """
        if self.position is None or self.position.birth != upto.birth or not self._caught_up:
            return False
        packed, read = pack(records), self.position.read
        written = list[_State]()

        def write(pipe: Pipeline) -> None:
            """Queue the commands, unless the state that is watched says that they are too late."""
            state = _state(pipe.hmget(self._snapshot, list(_STATE)))
            if state is None or state.birth != upto.birth:
                return
            if upto.read < max(state.upto, state.trimmed):
                return
            trimmed = max(state.trimmed, self._trimmable(upto.read))
            previous = self._lost or state.previous
            written[:] = [_State(state.birth, previous, upto.read, self._worker, read, trimmed)]
            pipe.multi()
            pipe.hset(self._snapshot, mapping=_fields(written[0]) | {"records": packed})
            pipe.expire(self._snapshot, _KEYS_SECONDS)
            pipe.xtrim(self._journal, minid=_text(_after(trimmed)), approximate=False)
            pipe.delete(self._claim)

        transaction(self.client, write, self._snapshot)
        if not written:
            return False
        (self._state,) = written
        self._lost = b""
        while self._known and self._known[0].id <= self._state.trimmed:
            self._known.popleft()
        return True

    def _is_due(self) -> bool:
        state = self._state
        if state is None or not state.author or self._lost:
            return True
        missing = [each for each in self._known if not state.holds(each.worker, each.id)]
        if not missing:
            return False
        size = sum(each.size for each in missing)
        return size > DUE_BYTES or missing[-1].id[0] - missing[0].id[0] > DUE_MILLISECONDS

    def _trimmable(self, upto: Id) -> Id:
        """Return the last entry that a snapshot up to `upto` stands for and everybody has read.

        It is the number of an entry, or the start: a worker that comes late to a journal sees by
        it whether entries are missing.
        """
        assert self.position is not None
        kept, old = 0, self.position.read[0] - _KEPT_MILLISECONDS
        for each in reversed(self._known):
            kept += each.size
            if each.id <= upto and (each.id[0] < old or kept > _KEPT_BYTES):
                return each.id
        return _START


def _chunks(records: Iterable[Record]) -> Iterator[list[Record]]:
    """Yield records in parts of which none is enormous."""
    chunk, size = list[Record](), 0
    for record in records:
        chunk.append(record)
        size += weight(record)
        if size > _ENTRY:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _is_order(record: Record) -> bool:
    return isinstance(record, Rule | Forgotten)


def _state(said: Sequence[bytes | str | None]) -> _State | None:
    """Return the state in a reply, or None where the key does not exist."""
    birth, previous, upto, author, author_upto, trimmed = map(_bytes, said)
    if not birth:
        return None
    return _State(birth, previous, _id(upto), author, _id(author_upto), _id(trimmed))


def _bytes(value: bytes | str | None) -> bytes:
    """Return a reply as bytes, which it is unless redis-py is told to decode."""
    return value.encode() if isinstance(value, str) else value or b""


def _fields(state: _State) -> dict[Any, Any]:
    return {
        "birth": state.birth,
        "previous": state.previous,
        "upto": _text(state.upto),
        "author": state.author,
        "author_upto": _text(state.author_upto),
        "trimmed": _text(state.trimmed),
    }


def _fields_of(said: Any) -> dict[bytes, bytes]:
    """Return the fields of an entry. redis-py leaves them a list in a pipeline to a cluster."""
    return said if isinstance(said, dict) else dict(zip(said[::2], said[1::2], strict=True))


def _number(fields: dict[bytes, bytes]) -> int:
    """Return the number that its worker gave an entry, or 0 where no worker made it."""
    number = fields.get(b"number", b"")
    if not fields.get(b"worker") or not number.isdigit() or len(number) > _DIGITS:
        return 0
    return int(number)


def _id(text: bytes) -> Id:
    """Return the ID of an entry; that before all others where it is not one."""
    milliseconds, _, number = text.partition(b"-")
    if not milliseconds.isdigit() or not number.isdigit() or len(text) > 2 * _DIGITS:
        return _START
    return int(milliseconds), int(number)


def _text(entry: Id) -> str:
    return f"{entry[0]}-{entry[1]}"


def _after(entry: Id) -> Id:
    return entry[0], entry[1] + 1
