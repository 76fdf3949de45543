"""The documentation site: each document has its place, and reading it loads nothing from others.

`make docs` builds it, which CI runs.
"""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

import headstart

ROOT = Path(__file__).parents[1]
DOCUMENTS = {str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")}


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_tool", ROOT / "tools" / "docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_each_document_is_in_the_navigation_once() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text().partition("\nnav:\n")[2]
    named = re.findall(r"- (?:[^:\n]+: )?(\S+\.md)$", navigation, re.MULTILINE)

    assert sorted(named) == sorted(DOCUMENTS)


def test_each_public_name_is_in_the_reference() -> None:
    pages = "".join(path.read_text() for path in (ROOT / "docs" / "reference").glob("*.md"))
    described = set(re.findall(r"^::: headstart\.(\w+)$", pages, re.MULTILINE))

    # The errors are described with their module.
    errors = {name for name in headstart.__all__ if name.endswith("Error")}
    assert described >= set(headstart.__all__) - errors
    assert "errors" in described


@pytest.mark.parametrize(
    ("html", "loaded"),
    [
        ('<script src="https://a.example/x.js"></script>', ["https://a.example/x.js"]),
        ('<img src="//a.example/x.png">', ["//a.example/x.png"]),
        ('<link rel="stylesheet" href="https://a.example/x.css">', ["https://a.example/x.css"]),
        ('<link href=https://a.example rel="preconnect dns-prefetch">', ["https://a.example"]),
        ('<script src="assets/x.js"></script><img src="pictures/x.svg">', []),
        ('<a href="https://a.example/">a link that is followed only by a click</a>', []),
        ('<link rel="canonical" href="https://a.example/">', []),
    ],
)
def test_page_that_loads_from_others_is_found(
    tool: ModuleType, html: str, loaded: list[str]
) -> None:
    assert tool.foreign(html) == loaded


def test_pages_of_a_site_are_looked_through(tool: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "guide").mkdir()
    (tmp_path / "guide" / "page.html").write_text('<img src="https://a.example/x.png">')
    (tmp_path / "index.html").write_text("<img src=x.png>")

    assert list(tool.found(tmp_path)) == ["guide/page.html loads https://a.example/x.png"]
