"""The formats of docs/map.md read lines that a server writes so."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from headstart.learn.logs import Pattern

_DOCS = (Path(__file__).parents[1] / "docs" / "map.md").read_text()
_TIME = "[02/Mar/2026:12:00:01 +0000]"
_COMBINED = f'192.0.2.1 - - {_TIME} "GET /a HTTP/2.0" 200 9 "https://example.org/" "Agent"'
_LINES = [
    f'example.org 192.0.2.1 {_TIME} "GET /a HTTP/2.0" 200 "https://example.org/"',
    f'example.org 192.0.2.1 {_TIME} "GET /a HTTP/2.0" 200 9 "https://example.org/" "Agent"',
]
_LINES_WITH_LIFETIMES = [f'{_COMBINED} "max-age=600"'] * 2


def _formats_of_the_docs() -> list[str]:
    commands = re.findall(r"^headstart replay --format .*", _DOCS, re.MULTILINE)
    return [shlex.split(command)[3] for command in commands]


def test_formats_read_the_lines_that_they_describe() -> None:
    formats = _formats_of_the_docs()

    assert len(formats) == len(_LINES) + len(_LINES_WITH_LIFETIMES)
    for text, line in zip(formats, _LINES, strict=False):
        fields = Pattern(text).fields_of(line)
        assert fields is not None
        assert (fields["host"], fields["url"], fields["referer"]) == (
            "example.org",
            "/a",
            "https://example.org/",
        )


def test_directives_and_formats_for_lifetimes_read_the_lines_that_they_describe() -> None:
    formats = _formats_of_the_docs()[len(_LINES) :]
    directives = re.findall(r"^(?:log_format|LogFormat) .*", _DOCS, re.MULTILINE)

    assert len(directives) == len(formats)
    for text, line in zip(directives + formats, _LINES_WITH_LIFETIMES * 2, strict=True):
        fields = Pattern(text).fields_of(line)
        assert fields is not None
        assert (fields["client"], fields["url"], fields["cache"]) == (
            "192.0.2.1",
            "/a",
            "max-age=600",
        )
