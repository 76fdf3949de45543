"""Each link between the documents leads to a file and a heading that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)


def text_of(path: Path) -> str:
    """Return a document without its blocks of code."""
    return CODE.sub("", path.read_text())


def anchors(path: Path) -> set[str]:
    """Return the anchors that a forge gives to the headings of a document."""
    headings = re.findall(r"^#+ (.*)$", text_of(path), re.MULTILINE)
    plain = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading) for heading in headings]
    return {re.sub(r"[^\w\- ]", "", one.lower()).strip().replace(" ", "-") for one in plain}


def broken(document: Path) -> list[str]:
    """Return the links of a document that lead nowhere; links to other sites are not followed."""
    found = []
    for link in LINK.findall(text_of(document)):
        path, _, anchor = link.partition("#")
        target = document.parent / path if path else document
        if "://" in link:
            continue
        if not target.exists() or (anchor and anchor not in anchors(target)):
            found.append(link)
    return found


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_to_files_and_headings(document: Path) -> None:
    assert broken(document) == []


def test_a_link_to_a_missing_heading_is_found(tmp_path: Path) -> None:
    (tmp_path / "there.md").write_text("# One `code` heading\n")
    page = tmp_path / "page.md"
    page.write_text("[a](there.md#one-code-heading) [b](there.md#no) [c](gone.md) [d](#me)\n# Me\n")

    assert broken(page) == ["there.md#no", "gone.md"]
