"""Find the links of a stylesheet: `@import`, fonts, images.

Uses tinycss2, which accepts any input. A browser fetches a font or an image only if something on
the page uses it; here all count as used. Of several formats of a font or an image
(`src: url(a.woff2), url(a.ttf)`, `image-set(...)`) the first is taken, as by a browser that knows
them all. Pure; called by `loader` and `documents`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import tinycss2

from headstart.h2c.daemon.load.resource import Kind

_DEEPEST = 50
_IMAGE_SETS = frozenset({"image-set", "-webkit-image-set"})


def links(text: str) -> list[tuple[str, Kind]]:
    """Return the references in a stylesheet, in order."""
    rules = tinycss2.parse_stylesheet(text, skip_comments=True, skip_whitespace=True)
    return list(_of_rules(rules))


def links_of_style(text: str) -> list[tuple[str, Kind]]:
    """Return the references in the value of a `style` attribute."""
    values = tinycss2.parse_component_value_list(text, skip_comments=True)
    return [(reference, Kind.IMAGE) for reference in _urls(values, 0)]


def _of_rules(rules: Iterable[Any]) -> Iterator[tuple[str, Kind]]:
    for rule in rules:
        keyword = getattr(rule, "lower_at_keyword", "")
        if keyword == "import":
            yield from ((found, Kind.STYLE) for found in _first(rule.prelude))
        elif keyword == "namespace" or not getattr(rule, "content", None):
            continue
        elif keyword == "font-face":
            yield from ((found, Kind.FONT) for found in _font(rule.content))
        else:
            yield from _within(rule.content)


def _within(content: Sequence[Any]) -> Iterator[tuple[str, Kind]]:
    """Yield the references in a block: declarations, and rules in at-rules such as `@media`."""
    nested = False
    for token in content:
        if token.type == "at-keyword" and token.lower_value == "font-face":
            nested = True
        elif nested and token.type == "{} block":
            yield from ((found, Kind.FONT) for found in _font(token.content))
            nested = False
        else:
            yield from ((found, Kind.IMAGE) for found in _urls([token], 0))


def _first(prelude: Sequence[Any]) -> Iterator[str]:
    """Yield the reference at the beginning of an `@import`."""
    for token in prelude:
        if token.type == "whitespace":
            continue
        if token.type in ("string", "url"):
            yield token.value
        else:
            yield from _urls([token], 0)
        return


def _font(content: Sequence[Any]) -> Iterator[str]:
    """Yield the first format of each `src`; a later `src` replaces an earlier one."""
    found = ""
    for one in tinycss2.parse_blocks_contents(content, skip_comments=True, skip_whitespace=True):
        if one.type == "declaration" and one.lower_name == "src":
            found = next(_urls(one.value, 0), "") or found
    if found:
        yield found


def _urls(tokens: Iterable[Any], depth: int) -> Iterator[str]:
    if depth > _DEEPEST:
        return
    for token in tokens:
        if token.type == "url":
            yield token.value
        elif token.type == "function" and token.lower_name == "url":
            yield from (part.value for part in token.arguments if part.type == "string")
        elif token.type == "function" and token.lower_name in _IMAGE_SETS:
            yield from _image_set(token.arguments, depth)
        elif token.type == "function":
            yield from _urls(token.arguments, depth + 1)
        elif token.type in ("{} block", "() block", "[] block"):
            yield from _urls(token.content, depth + 1)


def _image_set(arguments: Sequence[Any], depth: int) -> Iterator[str]:
    for token in arguments:
        if token.type == "string":
            yield token.value
            return
        for found in _urls([token], depth + 1):
            yield found
            return
