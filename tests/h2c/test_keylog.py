"""TLS keys in a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from headstart.h2c import keylog
from headstart.h2c.streams import Failed


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", "")


def test_without_a_file_none_is_used() -> None:
    keylog.use("")

    assert keylog.in_use() is None


def test_the_file_is_kept_and_only_the_user_reads_a_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old").write_text("CLIENT_RANDOM 00 00\n")

    keylog.use("old")
    keylog.use("new")

    assert (tmp_path / "old").read_text() == "CLIENT_RANDOM 00 00\n"
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o600
    assert keylog.in_use() == str(tmp_path / "new")


def test_the_variable_that_others_use_counts_where_nothing_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))

    keylog.use("")

    assert keylog.in_use() == str(tmp_path / "keys")
    assert (tmp_path / "keys").exists()


def test_a_file_that_cannot_be_written_is_said_before_anything_else(tmp_path: Path) -> None:
    with pytest.raises(Failed, match=r"cannot write the TLS keys to .*/keys: No such file"):
        keylog.use(str(tmp_path / "missing" / "keys"))
