"""The example of docs/httpx.md is run, and prints the text below it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.httpx.served import site
from tests.server.live import environment

DOCUMENT = (Path(__file__).parents[1] / "docs" / "httpx.md").read_text()


def test_example_prints_what_the_document_shows(tmp_path: Path) -> None:
    (_, script), (_, shown) = re.findall(r"(?ms)^```(\w*)\n(.*?)^```$", DOCUMENT)
    path = tmp_path / "script.py"

    with site() as place:
        path.write_text(script.replace("https://localhost:8443", place.url))
        done = subprocess.run(
            [sys.executable, path], env=environment(), capture_output=True, text=True, check=False
        )

    assert (done.stderr, done.stdout) == ("", shown)
