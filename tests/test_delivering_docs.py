"""What docs/delivering.md says of the middleware in another server is run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from headstart.admin.site import words
from headstart.middleware import HeadstartMiddleware
from headstart.reasons import Refusal
from tests.middleware.served import ASSETS, PUSH, Served, ours, site

DOCS = (Path(__file__).parents[1] / "docs" / "delivering.md").read_text()


def example() -> HeadstartMiddleware:
    """The application of the example with a store, as a process that starts makes it."""
    blocks = re.findall(r"^```python\n(.*?)^```$", DOCS, flags=re.MULTILINE | re.DOTALL)
    (text,) = (block for block in blocks if "open_store" in block)
    made: dict[str, Any] = {}
    exec(text, made)
    app: HeadstartMiddleware = made["app"]
    app.app = site()
    return app


def test_each_case_names_a_test_that_there_is() -> None:
    root = Path(__file__).parents[1]
    named = re.findall(r"`(tests/[a-z_/]+\.py)::(test_\w+)`", DOCS)

    assert len(named) >= 15
    for file, name in named:
        assert re.search(rf"def {name}\(", (root / file).read_text()), name


def test_table_of_the_reasons_has_each_in_the_words_of_the_admin_pages() -> None:
    _, _, table = DOCS.partition("| reason | nothing is sent because |")
    told = dict(re.findall(r"^\| `([a-z0-9-]+)` \| ([^|]+) \|$", table, flags=re.MULTILINE))

    assert told == {str(reason): words.refusal(str(reason)) for reason in Refusal}


async def test_store_of_the_example_keeps_what_was_learned_over_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    served = Served()
    for _ in range(2):
        served.middleware = example()
        served.middleware.shared.clock = served.clock
        await served.middleware.start()  # as the server's lifespan does
        wire = await served.get(extensions={**ours(), **PUSH})
        await served.teach()
        await served.middleware.stop()

    assert sorted(wire.pushed) == sorted(ASSETS)
    assert (tmp_path / "learned.sqlite3").exists()
