"""A file that is written as a whole or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from headstart.files import has_other_content, write_whole
from tests.server.live import environment


@pytest.mark.parametrize("before", [None, "old"])
def test_disk_that_is_full_leaves_what_was_there_and_nothing_else(
    before: str | None, tmp_path: Path
) -> None:
    file = tmp_path / "map.jsonl"
    if before is not None:
        file.write_text(before)
    script = (
        "import pathlib, sys; from headstart.files import write_whole; "
        "write_whole(pathlib.Path(sys.argv[1]), 'a' * 1_000_000)"
    )

    # A file may be no larger than eight blocks: as on a full disk, the write fails in its middle.
    done = subprocess.run(
        ["sh", "-c", 'ulimit -f 8; exec "$0" -c "$1" "$2"', sys.executable, script, str(file)],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )

    assert "File too large" in done.stderr
    assert [path.read_text() for path in tmp_path.iterdir()] == [before] * (before is not None)


def test_file_keeps_its_mode_and_a_link_stays_one(tmp_path: Path) -> None:
    file, link = tmp_path / "map.jsonl", tmp_path / "link"
    file.write_text("old")
    file.chmod(0o640)
    link.symlink_to(file)

    write_whole(link, "new")

    assert link.is_symlink()
    assert file.read_text() == "new"
    assert file.stat().st_mode & 0o777 == 0o640
    assert len(list(tmp_path.iterdir())) == 2


def test_pipe_is_written_to(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE, text=True) as reader:
        write_whole(pipe, "text")

        assert reader.communicate()[0] == "text"
    assert pipe.is_fifo()


def test_file_of_the_temporary_name_is_left_alone(tmp_path: Path) -> None:
    other = tmp_path / f".map.jsonl.{os.getpid()}.new"
    other.write_text("somebody's")

    with pytest.raises(FileExistsError):
        write_whole(tmp_path / "map.jsonl", "new")

    assert other.read_text() == "somebody's"


@pytest.mark.parametrize(
    ("content", "expected"),
    [(None, False), (b"", False), (b"ours: 1", False), (b"our", True), (b"192.0.2.1 - -", True)],
)
def test_content_is_another_one_unless_it_begins_as_ours(
    content: bytes | None, expected: bool, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    if content is not None:
        file.write_bytes(content)

    assert has_other_content(file, (b"ours", b"{")) is expected


def test_pipe_and_device_have_no_other_content(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    assert not has_other_content(pipe, (b"ours",))
    assert not has_other_content(Path(os.devnull), (b"ours",))
