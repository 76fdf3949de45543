from __future__ import annotations

from pathlib import Path

import pytest

from headstart.errors import ConfigurationError
from headstart.learn.nodes import Judgement
from headstart.store import StoreError, offline
from tests.store.workers import Operator, Start, page, paths, vote


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "learned.sqlite3"


@pytest.fixture
def operator() -> Operator:
    return Operator()


def test_map_is_read_while_a_server_runs_and_when_none_does(
    path: Path, operator: Operator, start: Start
) -> None:
    worker = start(path)
    worker.says(vote("/a"))
    assert sorted(offline.known(path, warn=operator).rows(), key=str) == sorted(
        worker.learner.rows(), key=str
    )

    worker.writes_snapshot()
    worker.store.close()

    assert paths(offline.saved(path, warn=operator))[0] == "/a"
    assert operator.lines == []


def test_reading_makes_no_file(path: Path, operator: Operator) -> None:
    with pytest.raises(StoreError, match="nothing has been learned yet"):
        offline.saved(path, warn=operator)

    assert not path.exists()


def test_running_worker_obeys_and_so_does_one_that_starts_later(
    path: Path, operator: Operator, start: Start
) -> None:
    worker = start(path)
    worker.says(vote("/a"), vote("/b", "/b.css"))

    assert offline.forget("/a", path, warn=operator)
    assert not offline.forget("/unknown", path, warn=operator)
    offline.pin("/c", "/c.js", path, warn=operator)
    offline.never("/b.css", path, warn=operator)
    worker.says()

    later = start(path)
    for one in (worker, later):
        assert not one.knows("/a")
        rows = {(row.page, row.asset): row.why for row in one.learner.rows()}
        assert rows["/c", "/c.js"] is Judgement.PINNED
        assert rows["https://site.example/b", "/b.css"] is Judgement.BARRED


def test_order_that_no_learner_takes_is_refused_and_not_published(
    path: Path, operator: Operator
) -> None:
    with pytest.raises(ConfigurationError, match="not a stylesheet"):
        offline.pin("/a", "/no-kind", path, warn=operator)

    assert not path.exists()


def test_unusable_place_is_an_error(tmp_path: Path, operator: Operator) -> None:
    with pytest.raises(StoreError, match="cannot be used"):
        offline.tell([page("/a")], tmp_path, warn=operator)


def test_file_that_no_server_uses_is_compacted_in_the_end(
    path: Path, operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(offline, "_NEGLECTED", 1_000_000)
    imported = [page(f"/{number}" + "a" * 1000) for number in range(200)]

    for _ in range(20):
        offline.tell(imported, path, warn=operator)

    # Kept for workers that may be running, but read by none that starts: a fifth of it.
    kept = paths(offline.saved(path, warn=operator))
    assert len(kept) < 1200
    assert set(kept) >= {one.path for one in imported}
