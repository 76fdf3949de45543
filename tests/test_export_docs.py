"""The commands and the table of docs/export.md."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from headstart.export import FORMATS
from tests.cli.command import headstart_says

_ROOT = Path(__file__).parents[1]
_DOCS = (_ROOT / "docs" / "export.md").read_text()


def test_commands_of_the_page_make_a_configuration_of_a_log(tmp_path: Path) -> None:
    (block,) = re.findall(r"^```\n(headstart replay.*?)^```$", _DOCS, re.MULTILINE | re.DOTALL)
    written = ""
    for line in block.splitlines():
        words = shlex.split(line.partition(" > ")[0])
        store = str(tmp_path / "map.sqlite3")
        log = str(_ROOT / "docs" / "examples" / "access.log")
        given = [{"access.log": log, "map.sqlite3": store}.get(word, word) for word in words[1:]]
        status, written, told = headstart_says(*given)
        assert status == 0, told

    assert '    "/chair" "</style.css>; rel=preload; as=style' in written


def test_every_format_is_in_the_table() -> None:
    named = re.findall(r"^\| `(\w+)`", _DOCS, re.MULTILINE)

    assert sorted(named) == sorted([*FORMATS, "json"])
