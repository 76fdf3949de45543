"""One side of a connection in memory, against a peer that says anything; what both roles share.

A `Side` hears bytes as they are cut, speaks all that it has to say, and asserts after every event
what must hold of either role. Each role adds what its own events mean. A test tells it a story:
steps in any order, of which a `Heard` is what the peer says.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from headstart.wire.connection import OUTPUT_CHUNK
from headstart.wire.events import ConnectionEnded, DataReceived, StreamClosed
from headstart.wire.frames import Direction, FrameDecoder
from tests.fuzzing.frames import Author, Move, segmented
from tests.fuzzing.leaks import leftovers

Event = TypeVar("Event")
Event_co = TypeVar("Event_co", covariant=True)


class Wire(Protocol[Event_co]):
    """What both roles of `headstart.wire` have."""

    ended: ConnectionEnded | None

    @property
    def wants_output(self) -> bool: ...
    def receive(self, data: bytes, now: float) -> Sequence[Event_co]: ...
    def output(self) -> bytes: ...
    def after_output(self, now: float) -> Sequence[Event_co]: ...
    def acknowledge(self, amount: int, stream_id: int) -> None: ...


class Side(ABC, Generic[Event]):
    """The side under test.

    Args:
        wire: Its protocol logic.
        author: The peer, who writes frames.
        segment: How many bytes come at once.

    Attributes:
        now: Seconds.
        closed: Streams that are over.
        owed: Bytes of each stream that came and were not acknowledged.
        ended: The wire said that the connection is over.
    """

    preface: bool
    may_keep: frozenset[str] = frozenset()
    """What of the wire may hold something though all streams are over."""

    def __init__(self, wire: Wire[Event], author: Author, segment: int) -> None:
        self._wire = wire
        self.author = author
        self.now = 0.0
        self.closed: set[int] = set()
        self.owed: dict[int, int] = {}
        self.ended = False
        self._segment = segment
        self._frames = FrameDecoder(Direction.SENT, preface=self.preface)

    def hear(self, data: bytes) -> None:
        """Bytes from the peer."""
        for part in segmented(data, self._segment):
            self._note(self._wire.receive(part, self.now))

    def speak(self) -> None:
        """Write what there is to write; it must be frames."""
        while data := self._wire.output():
            assert len(data) <= OUTPUT_CHUNK
            for frame in self._frames.feed(data, self.now):
                assert not frame.problem, frame
            self._note(self._wire.after_output(self.now))
        self._note(self._wire.after_output(self.now))

    def pay(self) -> None:
        """Acknowledge all that came."""
        for stream_id, amount in self.owed.items():
            self._wire.acknowledge(amount, stream_id)
        self.owed.clear()

    def _note(self, events: Iterable[Event]) -> None:
        for event in events:
            assert not self.ended or not isinstance(event, ConnectionEnded), "it ended twice"
            if isinstance(event, DataReceived | StreamClosed):
                assert event.stream_id not in self.closed
            self.note(event)
            match event:
                case DataReceived(stream_id=stream_id, data=data):
                    self.owed[stream_id] = self.owed.get(stream_id, 0) + len(data)
                case StreamClosed(stream_id=stream_id):
                    self.closed.add(stream_id)
                case ConnectionEnded():
                    self.ended = True
                case _:
                    pass

    @abstractmethod
    def note(self, event: Event) -> None:
        """An event, and what must hold of it in this role."""

    def end(self, streams: Iterable[int]) -> None:
        """Give up these streams, say all that is still to be said, and keep nothing."""
        for stream_id in streams:
            self.reset(stream_id)
        self.speak()
        self.pay()
        self.speak()
        # Of a connection that has ended nothing is kept at all.
        assert self._wire.ended is not None or leftovers(self._wire, self.may_keep) == {}
        assert not self._wire.wants_output

    @abstractmethod
    def reset(self, stream_id: int) -> None:
        """Give up a stream."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A step: the peer says something."""

    move: Move

    def __call__(self, side: Side[Event]) -> None:
        side.hear(self.move.write(side.author))
