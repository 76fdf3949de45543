"""Where a response goes."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from headstart.h2c.command.output import Output
from headstart.h2c.streams import Failed


@pytest.mark.parametrize("ending", ["/", "/.", "/..", "//"])
def test_a_folder_that_is_not_there_is_no_file(ending: str, tmp_path: Path) -> None:
    output = Output()

    with pytest.raises(Failed, match=f"nodir{ending}: it names a folder"):
        output.open(os.fsencode(f"{tmp_path}/nodir{ending}"))
    assert list(tmp_path.iterdir()) == []


def test_a_replaced_file_keeps_its_mode_and_a_link_its_target(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    target.chmod(0o640)
    link.symlink_to(target)
    output = Output()

    output.open(os.fsencode(link))
    output.write(b"new")
    output.keep()

    assert link.is_symlink()
    assert target.read_text() == "new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


def test_a_device_is_written_in_place() -> None:
    output = Output()

    output.open(b"/dev/null")
    output.write(b"x")
    output.keep()

    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_a_pipe_by_the_name_of_its_descriptor_is_written_in_place() -> None:
    reader, writer = os.pipe()
    output = Output()

    output.open(b"/dev/fd/%d" % writer)
    output.write(b"x")
    output.keep()

    assert os.read(reader, 2) == b"x"
    os.close(reader)
    os.close(writer)


def test_a_part_that_somebody_removed_is_no_fault_of_its_own(tmp_path: Path) -> None:
    output = Output()
    output.open(os.fsencode(tmp_path / "file"))
    (part,) = tmp_path.iterdir()

    part.unlink()
    output.discard()
    output.discard()

    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_told() -> None:
    output = Output()
    output.open(b"/dev/full")

    with pytest.raises(Failed, match=r"cannot write /dev/full: No space left"):
        output.write(b"x")


def test_an_output_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(Failed, match="No such file or directory; check the path"):
        Output().open(os.fsencode(tmp_path / "none" / "file"))
