"""Transcripts with something wrong in them, made from those that were right."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final, TypeAlias

Frames: TypeAlias = list[bytearray]


def split(data: bytes) -> Frames:
    """The frames of one direction, each with its header; what is left at the end as it is."""
    frames, at = [], 0
    while at < len(data):
        end = at + 9 + int.from_bytes(data[at : at + 3], "big")
        frames.append(bytearray(data[at:end]))
        at = end
    return frames


def mutate(data: bytes, dice: random.Random) -> bytes:
    """The same bytes with up to four things changed."""
    frames = split(data)
    for _ in range(dice.randint(1, 4)):
        if frames:
            dice.choice(_MUTATIONS)(frames, dice)
    return b"".join(frames)


def _flip(frames: Frames, dice: random.Random) -> None:
    frame = dice.choice(frames)
    frame[dice.randrange(len(frame))] ^= 1 << dice.randrange(8)


def _octet(frames: Frames, dice: random.Random) -> None:
    frame = dice.choice(frames)
    frame[dice.randrange(len(frame))] = dice.randrange(256)


def _drop(frames: Frames, dice: random.Random) -> None:
    del frames[dice.randrange(len(frames))]


def _repeat(frames: Frames, dice: random.Random) -> None:
    frames.insert(dice.randrange(len(frames) + 1), bytearray(dice.choice(frames)))


def _swap(frames: Frames, dice: random.Random) -> None:
    one, other = dice.randrange(len(frames)), dice.randrange(len(frames))
    frames[one], frames[other] = frames[other], frames[one]


def _retype(frames: Frames, dice: random.Random) -> None:
    frame = dice.choice(frames)
    if len(frame) >= 9:
        frame[3] = dice.randrange(12)


def _reflag(frames: Frames, dice: random.Random) -> None:
    frame = dice.choice(frames)
    if len(frame) >= 9:
        frame[4] ^= dice.choice([0x1, 0x4, 0x8, 0x20])


def _move(frames: Frames, dice: random.Random) -> None:
    frame = dice.choice(frames)
    if len(frame) >= 9:
        stream_id = dice.choice([0, 1, 2, 3, 4, 5, 7, 9, 101, 0x7FFFFFFF])
        frame[5:9] = stream_id.to_bytes(4, "big")


def _shorten(frames: Frames, dice: random.Random) -> None:
    """Less payload, and a length that says so."""
    frame = dice.choice(frames)
    if len(frame) > 9:
        del frame[dice.randrange(9, len(frame)) :]
        frame[:3] = (len(frame) - 9).to_bytes(3, "big")


def _cut(frames: Frames, dice: random.Random) -> None:
    """Octets are missing, and nothing says so."""
    frame = dice.choice(frames)
    begin = dice.randrange(len(frame))
    del frame[begin : begin + dice.randint(1, 20)]
    if not frame:
        frames.remove(frame)


def _insert(frames: Frames, dice: random.Random) -> None:
    frame = dice.choice(frames)
    at = dice.randrange(len(frame) + 1)
    frame[at:at] = dice.randbytes(dice.randint(1, 20))


def _control(frames: Frames, dice: random.Random) -> None:
    """A whole frame, well-formed, that was not there."""
    frame = bytearray.fromhex(dice.choice(_FRAMES))
    frames.insert(dice.randrange(len(frames) + 1), frame)


def _end(frames: Frames, dice: random.Random) -> None:
    del frames[dice.randrange(len(frames)) :]


_FRAMES: Final = (
    "000000 04 00 00000000",  # SETTINGS
    "000006 04 00 00000000 0003 00000000",  # MAX_CONCURRENT_STREAMS 0
    "000006 04 00 00000000 0004 00000000",  # INITIAL_WINDOW_SIZE 0
    "000006 04 00 00000000 0001 00000000",  # HEADER_TABLE_SIZE 0
    "000008 06 00 00000000 0102030405060708",  # PING
    "000008 07 00 00000000 00000000 00000000",  # GOAWAY, nothing was processed
    "000008 07 00 00000000 00000003 0000000b",  # GOAWAY, ENHANCE_YOUR_CALM
    "000004 03 00 00000001 00000007",  # RST_STREAM, REFUSED_STREAM
    "000004 03 00 00000003 00000008",  # RST_STREAM, CANCEL
    "000004 08 00 00000000 7fffffff",  # WINDOW_UPDATE
    "000004 08 00 00000003 00000000",  # WINDOW_UPDATE of nothing
    "000001 01 05 00000001 88",  # HEADERS, :status 200, END_STREAM
    "000001 01 04 00000003 88",  # HEADERS, :status 200
    "000005 00 00 00000005 68656c6c6f",  # DATA
    "00000b 05 04 00000001 00000002 8286448260 7f 00",  # PUSH_PROMISE, its block cut
    "000000 be 00 00000001",  # a type that nobody knows
)
_MUTATIONS: Final[tuple[Callable[[Frames, random.Random], None], ...]] = (
    *(_flip, _octet, _drop, _repeat, _swap, _retype, _reflag, _move, _shorten, _cut, _insert),
    *(_control, _control, _control, _end),
)
