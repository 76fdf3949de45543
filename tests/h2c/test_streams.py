"""Standard streams, and what is said on them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from headstart.h2c import streams
from headstart.h2c.streams import Failed


@contextmanager
def replaced(descriptor: int, other: int) -> Iterator[None]:
    """The standard stream is `other` for a while."""
    kept = os.dup(descriptor)
    os.dup2(other, descriptor)
    try:
        yield
    finally:
        os.dup2(kept, descriptor)
        os.close(kept)
        os.close(other)


def full() -> int:
    return os.open("/dev/full", os.O_WRONLY)


def test_a_stream_that_is_not_open_is_no_terminal() -> None:
    assert not streams.is_terminal(9999)


def test_what_is_said_is_one_line_on_standard_error(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    streams.say("a name that is no UTF-8: \udcff")

    assert capfdbinary.readouterr() == (b"", b"h2c: a name that is no UTF-8: \\udcff\n")


def test_nothing_happens_where_standard_error_takes_nothing() -> None:
    with replaced(2, full()):
        streams.say("no room for this")


def test_a_standard_output_that_takes_nothing_is_told() -> None:
    with (
        replaced(1, full()),
        pytest.raises(Failed, match="cannot write standard output: No space left"),
    ):
        streams.show("text")


def test_a_standard_output_that_nobody_reads_is_a_broken_pipe() -> None:
    reader, writer = os.pipe()
    os.close(reader)

    with replaced(1, writer), pytest.raises(BrokenPipeError):
        streams.show("text")
