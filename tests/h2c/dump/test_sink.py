"""Where a dump goes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from headstart.h2c.dump.sink import Sink
from headstart.h2c.streams import Failed


def test_a_file_is_whole_after_every_piece(tmp_path: Path) -> None:
    file = tmp_path / "list"
    file.write_text("what was there before is longer than all that comes")
    sink = Sink(str(file))

    seen = []
    for piece in (b"[1", b",22", b",333"):
        sink.write(piece, b"]\n")
        seen.append(file.read_bytes())
    sink.close()

    assert seen == [b"[1]\n", b"[1,22]\n", b"[1,22,333]\n"]
    assert file.read_bytes() == b"[1,22,333]\n"


def test_a_last_piece_without_an_end_is_the_end(tmp_path: Path) -> None:
    sink = Sink(str(tmp_path / "list"))

    sink.write(b"[1", b"]")
    sink.write(b",2]")
    sink.close()

    assert (tmp_path / "list").read_bytes() == b"[1,2]"


def test_standard_output_gets_the_end_at_the_end(capfd: pytest.CaptureFixture[str]) -> None:
    sink = Sink("")

    sink.write(b"[1", b"]\n")
    sink.write(b",2", b"]\n")
    before = capfd.readouterr().out
    sink.close()

    assert (before, capfd.readouterr().out) == ("[1,2", "]\n")


def test_only_the_user_reads_the_file(tmp_path: Path) -> None:
    Sink(str(tmp_path / "dump")).close()

    assert (tmp_path / "dump").stat().st_mode & 0o777 == 0o600


def test_a_file_that_others_could_read_is_the_users_own_from_now_on(tmp_path: Path) -> None:
    file = tmp_path / "list"
    file.touch()
    file.chmod(0o644)

    Sink(str(file)).close()

    assert file.stat().st_mode & 0o777 == 0o600


def test_a_named_pipe_gets_the_pieces_in_order(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    sink = Sink(str(pipe))

    sink.write(b"[1", b"]")
    sink.write(b",2", b"]")
    sink.close()

    assert os.read(reader, 100) == b"[1,2]"
    os.close(reader)


def test_one_that_cannot_be_opened_or_written_says_so(tmp_path: Path) -> None:
    with pytest.raises(Failed, match=r"cannot write .*/missing/dump: No such file or directory"):
        Sink(str(tmp_path / "missing" / "dump"))
    with pytest.raises(Failed, match="cannot write /dev/full: No space left on device"):
        Sink("/dev/full").write(b"x")


def test_a_pipe_that_nobody_reads_is_told_apart(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    sink = Sink(str(pipe))
    os.close(reader)

    with pytest.raises(BrokenPipeError):
        sink.write(b"x")
