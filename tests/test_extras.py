"""The command for an extra, as the package was installed."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from headstart import extras

INDEX = "pip install 'headstart[admin]'"


class _Installed:
    def __init__(self, told: str | None) -> None:
        self._told = told

    def read_text(self, name: str) -> str | None:
        assert name == "direct_url.json"
        return self._told


@pytest.mark.parametrize(
    "told",
    [
        None,
        "{",
        "{}",
        json.dumps({"url": "file:///nowhere/headstart", "dir_info": {}}),
        json.dumps({"url": "https://example.org/headstart.whl", "archive_info": {}}),
    ],
)
def test_index_is_meant_unless_a_folder_or_file_is_known(
    told: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extras, "distribution", lambda _: _Installed(told))

    assert extras.install_command("admin") == INDEX


def test_clone_is_named_by_its_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    clone = tmp_path / "my clone"
    clone.mkdir()
    told = json.dumps({"url": clone.as_uri(), "dir_info": {"editable": True}})
    monkeypatch.setattr(extras, "distribution", lambda _: _Installed(told))

    assert extras.install_command("admin") == f"pip install '{clone}[admin]'"


def test_package_that_is_not_installed_is_the_index_s(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(name: str) -> _Installed:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(extras, "distribution", fails)

    assert extras.install_command("admin") == INDEX
