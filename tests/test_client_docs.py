"""Every example of docs/client.md is run, and prints what stands below it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from headstart.client import errors
from tests.server.live import environment, serving

DOCUMENT = (Path(__file__).parents[1] / "docs" / "client.md").read_text()
FENCED = re.findall(r"^```(\w*)\n(.*?)^```$", DOCUMENT, flags=re.MULTILINE | re.DOTALL)
(_, APPLICATION), *EXAMPLES = FENCED


def scripts() -> list[tuple[str, str]]:
    """Each example with the block behind it."""
    return [
        (script, shown) for (kind, script), (_, shown) in pairwise(EXAMPLES) if kind == "python"
    ]


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder = tmp_path_factory.mktemp("application")
    (folder / "main.py").write_text(APPLICATION)
    with serving("main:app", "--no-learn", folder=folder) as server:
        yield server.port


@pytest.mark.parametrize(("script", "shown"), scripts())
def test_example_prints_what_the_document_shows(
    script: str, shown: str, port: int, tmp_path: Path
) -> None:
    path = tmp_path / "script.py"
    path.write_text(script.replace("localhost:8000", f"localhost:{port}"))

    done = subprocess.run(
        [sys.executable, path],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )

    assert done.stderr == ""
    assert done.stdout.replace(f"localhost:{port}", "localhost:8000") == shown


def test_errors_are_those_of_the_tree() -> None:
    (tree,) = (text for _, text in FENCED if text.startswith("HeadstartError\n"))

    named = set(re.findall(r"    [├└]── (\w+)", tree))

    assert named == {one.__name__ for one in errors.ClientError.__subclasses__()}
