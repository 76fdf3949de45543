"""The pictures of the docs: what draws them works, and those that are there are whole."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parents[1]
TOOL = ROOT / "tools" / "pictures.py"
PICTURES = sorted((ROOT / "docs" / "pictures").glob("*.svg"))


def words(picture: Path) -> str:
    """The text in it; rich writes spaces that do not break."""
    return "".join(ElementTree.parse(picture).getroot().itertext()).replace("\xa0", " ")


def test_the_dump_is_drawn_from_a_session(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, TOOL, tmp_path], capture_output=True, text=True, timeout=50, check=False
    )

    assert done.returncode == 0, done.stderr
    shown = words(tmp_path / "dump.svg")
    assert re.search(r"<- PUSH_PROMISE\(1\)", shown)
    assert "promised stream: 2" in shown


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
def test_a_picture_is_whole_is_in_the_docs_and_loads_nothing(picture: Path) -> None:
    text = picture.read_text()

    ElementTree.fromstring(text)
    docs = "".join(path.read_text() for path in (ROOT / "docs").glob("*.md"))
    assert f"(pictures/{picture.name})" in docs
    assert not re.search(r"url\((?!#)|href=\"(?!#)|@import|<script", text)
