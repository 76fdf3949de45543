"""Read a stylesheet for the fonts and the other stylesheets that it names.

Pure: bytes in, targets out; never raises, whatever the bytes are. Called by `sheets`. Only the few
rules that matter are parsed, by tinycss2, which takes 3 ms for 10 kB: a stylesheet of 200 kB would
hold up a server for a long time, and has a few hundred bytes of `@font-face`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import tinycss2

from headstart.pages.addresses import Addresses

# Each byte is looked at a few times at most, whatever the stylesheet holds.
_FONT_FACE = re.compile(rb"@font-face[ \t\r\n\f]*+\{([^{}]{0,2048}+)\}", re.IGNORECASE)
_IMPORT = re.compile(rb"@import(?![a-z-])([^;{}@]{1,512}+);", re.IGNORECASE)
_COMMENT = re.compile(rb"/\*(?:[^*]|\*(?!/))*+(?:\*/|\Z)")
_MOST_FACES = 64
_MOST_IMPORTS = 8
# Formats (CSS Fonts 4, 4.3) that every browser of today takes.
_FORMATS = frozenset(
    form + variations
    for form in ("woff2", "woff", "truetype", "opentype")
    for variations in ("", "-variations")
)
# A URL without a format is tried by all; these are known to fail.
_OLD = (".eot", ".svg")


@dataclass(frozen=True, slots=True)
class Stylesheet:
    """The assets that a stylesheet names on its own origin, in order.

    Attributes:
        fonts: The targets of the fonts that `@font-face` rules name.
        imports: The targets of the stylesheets that it imports.
        whole: It was read to its end.
    """

    fonts: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()
    whole: bool = True


def read_stylesheet(content: bytes, url: str, *, whole: bool = True) -> Stylesheet:
    """Read a stylesheet.

    Args:
        content: Its beginning, content codings undone.
        url: Its own, absolute.
        whole: Nothing follows.
    """
    content = _COMMENT.sub(b"", content)
    addresses = Addresses(url)
    fonts = (_font(face[1]) for face in _first(_FONT_FACE, content, _MOST_FACES))
    imports = (_import(rule[1]) for rule in _first(_IMPORT, content, _MOST_IMPORTS))
    return Stylesheet(_own(fonts, addresses), _own(imports, addresses), whole)


def _first(pattern: re.Pattern[bytes], content: bytes, most: int) -> Iterator[re.Match[bytes]]:
    for found, _ in zip(pattern.finditer(content), range(most), strict=False):
        yield found


def _own(references: Iterator[str], addresses: Addresses) -> tuple[str, ...]:
    """Return the targets on the stylesheet's own origin, each once."""
    found: dict[str, None] = {}
    for reference in references:
        address = addresses.resolve(reference)
        if address is not None and address.own:
            found[address.target] = None
    return tuple(found)


def _font(declarations: bytes) -> str:
    """Return the URL that a browser takes from the last `src` of a face, "" for none."""
    found = ""
    parsed = tinycss2.parse_blocks_contents(declarations.decode("utf-8", "replace"))
    for one in parsed:
        if one.type == "declaration" and one.lower_name == "src":
            found = next(filter(None, map(_source, _separated(one.value))), "")
    return found


def _separated(tokens: Sequence[Any]) -> Iterator[list[Any]]:
    """Yield the parts of a list with commas, without white space and comments."""
    part: list[Any] = []
    for token in tokens:
        if token.type == "literal" and token.value == ",":
            yield part
            part = []
        elif token.type not in ("whitespace", "comment"):
            part.append(token)
    yield part


def _source(part: Sequence[Any]) -> str:
    """Return the URL of one source of a font, "" if browsers pass it over."""
    url = _url(part[0]) if part else ""
    for token in part[1:]:
        if token.type == "function" and token.lower_name == "format":
            formats = [each for each in token.arguments if each.type in ("string", "ident")]
            return url if formats and str(formats[0].value).lower() in _FORMATS else ""
    return "" if url.partition("?")[0].lower().endswith(_OLD) else url


def _url(token: Any) -> str:
    if token.type == "url":
        return str(token.value)
    if token.type == "function" and token.lower_name == "url":
        return next((str(each.value) for each in token.arguments if each.type == "string"), "")
    return ""


def _import(prelude: bytes) -> str:
    """Return the URL of an `@import`, "" where it has none, or where it is for print."""
    parsed = tinycss2.parse_component_value_list(prelude.decode("utf-8", "replace"))
    tokens: list[Any] = [token for token in parsed if token.type not in ("whitespace", "comment")]
    if not tokens or any(token.type == "ident" and token.value == "print" for token in tokens):
        return ""
    return str(tokens[0].value) if tokens[0].type == "string" else _url(tokens[0])
