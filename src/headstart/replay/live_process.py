"""Play a log through the middleware, a long one in a second process.

The middleware takes as much time as reading the log and all other ways of predicting together, so
with a second core they run side by side. The steps go there through a pipe, in the log's order and
a few hundred at a time, and the score comes back. The scores are equal either way. A short log is
played before a second process would have started.

The second process is started as a program, since forking is not safe on every system and a script
that calls `Replay` may not be importable. It is in a process group of its own, so Ctrl-C in a
terminal ends only the first one, and that ends the second. Called by `replay`.
"""

from __future__ import annotations

import asyncio
import fcntl
import gc
import marshal
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import chain, islice
from struct import Struct
from typing import IO, Any, Final, TypeAlias

from headstart.config import DeliverOptions
from headstart.errors import HeadstartError
from headstart.learn import Answer, Exchange, LearnOptions, Request
from headstart.learn.logs import LogLine
from headstart.replay.assumptions import Assumptions, Mode
from headstart.replay.live import Live
from headstart.replay.loads import LineKind, PageLoad, Step
from headstart.replay.scores import Score

LONG: Final = 10_000
"""Steps from which on a log is played in a second process."""
_BATCH: Final = 250
# Bytes that wait for the second process, so that neither waits while the other has a longer batch.
_PIPE: Final = 1 << 20
_LENGTH: Final = Struct("<I")
_KINDS: Final = {kind.value: kind for kind in LineKind}

Arguments: TypeAlias = tuple[Mode, LearnOptions | None, DeliverOptions | None, Assumptions | None]
"""The arguments of `Live`."""


class ReplayProcessError(HeadstartError):
    """The second process has ended before the log did."""


def play(arguments: Arguments, steps: Iterator[Step]) -> Score:
    """Play a log's steps through the middleware. Return the score.

    Raises:
        ReplayProcessError: The second process was killed, for instance for want of memory.
    """
    first = list(islice(steps, LONG))
    is_long = len(first) == LONG
    steps = chain(_taken_from(first), steps)
    process = _started() if is_long and _cores() > 1 and sys.executable else None
    if process is None:
        return asyncio.run(Live(*arguments).play(steps))
    with _pipes_of(process) as (there, back):
        _write(there, pickle.dumps(arguments))
        while batch := list(islice(steps, _BATCH)):
            _write(there, marshal.dumps([_packed(step) for step in batch]))
        _write(there, b"")
        try:
            score: Score = pickle.load(back)
        except EOFError as error:
            raise _ended() from error
    return score


def _taken_from(steps: list[Step]) -> Iterator[Step]:
    """Yield the steps of a list, and keep none of them."""
    steps.reverse()
    while steps:
        yield steps.pop()


def _cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _started() -> subprocess.Popen[bytes] | None:
    """Start the second process. Return None if the system has no room for one."""
    try:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "headstart.replay.live_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            process_group=0,
        )
    except OSError:
        # For instance the user's limit of processes: one process takes longer, and says the same.
        return None
    assert process.stdin is not None, "it is a pipe"
    if hasattr(fcntl, "F_SETPIPE_SZ"):  # Linux's alone
        with suppress(OSError):  # the user's pipes may take no more memory
            fcntl.fcntl(process.stdin, fcntl.F_SETPIPE_SZ, _PIPE)
    return process


@contextmanager
def _pipes_of(process: subprocess.Popen[bytes]) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """Yield the pipes to the second process and back, and end it."""
    there, back = process.stdin, process.stdout
    assert there is not None, "it is a pipe"
    assert back is not None, "it is a pipe"
    try:
        yield there, back
    except BaseException:
        process.kill()
        raise
    finally:
        with suppress(BrokenPipeError):
            there.close()
        back.close()
        process.wait()


def _write(pipe: IO[bytes], data: bytes) -> None:
    try:
        pipe.write(_LENGTH.pack(len(data)) + data)
        pipe.flush()
    except BrokenPipeError as error:
        raise _ended() from error


def _ended() -> ReplayProcessError:
    return ReplayProcessError(
        "the process that plays the log has ended before the log",
        hint="If memory is short, replay a part of the log.",
    )


def _packed(step: Step) -> tuple[Any, ...]:
    """Return a step as values that `marshal` writes."""
    line, load = step.line, step.load
    return (
        line.time,
        tuple(line.exchange.request),
        tuple(step.answer),
        step.kind.value,
        None if load is None else (load.is_page, load.asked, load.subrequests),
        step.fetches,
    )


def _unpacked(packed: tuple[Any, ...]) -> Step:
    time, asked, answered, kind, loaded, fetches = packed
    # As `Answer._make` and the others', in a third of the time.
    new = tuple.__new__
    answer: Answer = new(Answer, answered)
    line: LogLine = new(LogLine, (time, new(Exchange, (new(Request, asked), answer))))
    load = None
    if loaded is not None:
        is_page, targets, subrequests = loaded
        load = PageLoad(line, is_page, asked=targets, subrequests=subrequests)
        load.end()
    return Step(line, _KINDS[kind], answer, load, fetches)


# The second process.


def _read(pipe: IO[bytes]) -> bytes:
    """Return all that one `_write` wrote.

    Raises:
        SystemExit: The first process has ended.
    """
    length = pipe.read(_LENGTH.size)
    if len(length) < _LENGTH.size:
        raise SystemExit(1)
    (size,) = _LENGTH.unpack(length)
    data = pipe.read(size)
    if len(data) < size:
        raise SystemExit(1)
    return data


def _received(pipe: IO[bytes]) -> Iterator[Step]:
    while data := _read(pipe):
        yield from map(_unpacked, marshal.loads(data))


def main(source: IO[bytes], back: IO[bytes]) -> None:
    """Play the log that comes from a pipe, and write the score to another one.

    Raises:
        SystemExit: The first process has ended.
    """
    arguments: Arguments = pickle.loads(_read(source))
    score = asyncio.run(Live(*arguments).play(_received(source)))
    try:
        back.write(pickle.dumps(score))
    except BrokenPipeError:
        raise SystemExit(1) from None


if __name__ == "__main__":
    # A long log leaves millions of objects and no cycles among them.
    gc.set_threshold(100_000)
    # Without a buffer, which would be written once more at the end if nobody reads.
    with open(sys.stdout.fileno(), "wb", buffering=0, closefd=False) as written:
        main(sys.stdin.buffer, written)
