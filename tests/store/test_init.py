from __future__ import annotations

from pathlib import Path

import pytest

from headstart.store import open_store
from tests.store.workers import Operator, kept, paths, vote


def test_store_is_one_file_in_the_default_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADSTART_DATA", str(tmp_path / "data"))
    operator = Operator()
    store = open_store(None, operator)

    store.exchange([vote("/")])
    store.close()

    assert paths(kept(tmp_path / "data" / "learned.sqlite3")) == ["/"]
    assert operator.lines == []
