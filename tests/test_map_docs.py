"""The formats of docs/map.md read lines that a server writes so."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from headstart.learn.logs import Pattern

_DOCS = (Path(__file__).parents[1] / "docs" / "map.md").read_text()
_TIME = "[02/Mar/2026:12:00:01 +0000]"
_LINES = [
    f'example.org 192.0.2.1 {_TIME} "GET /a HTTP/2.0" 200 "https://example.org/"',
    f'example.org 192.0.2.1 {_TIME} "GET /a HTTP/2.0" 200 9 "https://example.org/" "Agent"',
]


def test_formats_read_the_lines_that_they_describe() -> None:
    commands = re.findall(r"^headstart replay --format .*", _DOCS, re.MULTILINE)
    formats = [shlex.split(command)[3] for command in commands]

    assert len(formats) == len(_LINES)
    for text, line in zip(formats, _LINES, strict=True):
        fields = Pattern(text).fields_of(line)
        assert fields is not None
        assert (fields["host"], fields["url"], fields["referer"]) == (
            "example.org",
            "/a",
            "https://example.org/",
        )
