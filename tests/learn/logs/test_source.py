"""Tests of headstart.learn.logs.source."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

from headstart.errors import ConfigurationError
from headstart.learn.logs import source as source_module
from headstart.learn.logs.source import DAMAGED, HEAD, MAX_LINE, Source, lines_of

TEXT = b"one\ntwo\n"


def _read(source: Source) -> bytes:
    with source.open() as stream:
        return stream.read()


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_file_is_unpacked_as_often_as_it_is_opened(
    tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "log"
    path.write_bytes(pack(TEXT))

    source = Source(path)

    with source.sample() as stream:
        assert stream.read() == TEXT
    assert _read(source) == _read(source) == TEXT
    assert source.position == source.size == path.stat().st_size


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("size", [0, 1, HEAD, 2 * HEAD + 7])
def test_pipe_is_looked_at_and_then_read_whole(pack: Callable[[bytes], bytes], size: int) -> None:
    content = os.urandom(size)

    source = Source(Path("-"), io.BytesIO(pack(content)))

    with source.sample() as stream:
        seen = stream.read(16)
    assert content.startswith(seen)
    assert _read(source) == content
    assert (source.size, source.position) == (0, 0)


def test_named_pipe_is_read_and_closed(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with subprocess.Popen(["sh", "-c", f"printf 'one\\ntwo\\n' > '{path}'"]):
        source = Source(path)

        assert _read(source) == TEXT
        source.close()


def test_zstd_is_unpacked(tmp_path: Path) -> None:
    zstd = import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
    path = tmp_path / "log.zst"
    path.write_bytes(zstd.compress(TEXT) + zstd.compress(TEXT))

    with Source(path).open() as stream:
        assert list(lines_of(stream)) == ["one\n", "two\n"] * 2


def test_where_nothing_unpacks_zstd_the_user_is_told_what_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_module, "_ZSTD", None)
    path = tmp_path / "log.zst"
    path.write_bytes(b"\x28\xb5\x2f\xfd\x04\x00\x41\x00\x00")

    with pytest.raises(ConfigurationError) as told, Source(path).open():
        pass

    assert "[zstd]" in told.value.hint
    assert "zstdcat" in told.value.hint


def test_damaged_zstd_is_told_in_a_line(tmp_path: Path) -> None:
    log = tmp_path / "log.zst"
    log.write_bytes(b"\x28\xb5\x2f\xfd" + b"\xff" * 99)

    replay = subprocess.run(
        [sys.executable, "-m", "headstart.cli", "replay", str(log)],
        check=False,
        capture_output=True,
        text=True,
    )

    assert replay.returncode == 1
    [line] = replay.stderr.splitlines()
    assert line.startswith(f"Error: cannot read {log}: ")


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_archive_that_is_cut_off_is_damaged(pack: Callable[[bytes], bytes]) -> None:
    packed = pack(os.urandom(999))

    with pytest.raises(DAMAGED):
        _read(Source(Path("-"), io.BytesIO(packed[: len(packed) // 2])))


def test_line_above_the_bound_is_left_out_and_the_next_is_read() -> None:
    whole = b"a" * (MAX_LINE - 1) + b"\n"
    long = b"b" * (3 * MAX_LINE) + b"\n"

    lines = list(lines_of(io.BytesIO(whole + long + b"\xff\n" + b"c" * (MAX_LINE + 1))))

    assert lines == [whole.decode(), None, "�\n", None]


@pytest.mark.parametrize("size", [MAX_LINE, MAX_LINE + 1])
def test_bound_is_a_line_with_its_end(size: int) -> None:
    [line] = lines_of(io.BytesIO(b"a" * (size - 1) + b"\n"))

    assert (line is None) is (size > MAX_LINE)
