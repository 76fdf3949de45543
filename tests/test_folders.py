"""Tests of headstart.folders."""

from __future__ import annotations

import pwd
from pathlib import Path

import pytest

from headstart import devca
from headstart.errors import ConfigurationError
from headstart.folders import data_folder


def test_folder_is_the_one_that_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_DATA", str(tmp_path))
    assert data_folder() == tmp_path

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEADSTART_DATA", "here")
    assert data_folder() == tmp_path / "here"


def test_folder_is_the_platforms_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HEADSTART_DATA")
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))

    assert data_folder().is_relative_to(tmp_path)
    assert data_folder().name == "headstart"


def test_user_without_a_home_folder_is_told_so(homeless: None) -> None:
    with pytest.raises(ConfigurationError, match="no home folder") as told:
        data_folder()

    assert "HEADSTART_DATA" in told.value.hint
    assert devca.ca_certificate() is None


def test_home_folder_of_the_password_database_counts_without_home(
    monkeypatch: pytest.MonkeyPatch, homeless: None, tmp_path: Path
) -> None:
    entry = pwd.struct_passwd(("me", "x", 1, 1, "", str(tmp_path), "/bin/sh"))
    monkeypatch.setattr(pwd, "getpwuid", lambda _uid: entry)

    assert data_folder().is_relative_to(tmp_path)
