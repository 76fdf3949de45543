"""Find the links of an HTML page and of a stylesheet.

A page is read while it arrives, as a browser's preload scanner does, with the standard library's
tokenizer: like that scanner it reads tags in order and builds no tree. It leaves out links that a
browser would not fetch at once: `noscript` and `template`, scripts of another type or for old
browsers (`nomodule`), images with `loading=lazy`, frames, alternative and disabled stylesheets. Of
the versions in `srcset`, `src` is taken, or else the first.

A stylesheet is read with tinycss2, which accepts any input: `@import`, fonts, images. A browser
fetches a font or an image only if something on the page uses it. Here, images count as used, and so
do fonts whose `unicode-range` has something of ASCII; `loader` leaves out those whose family no
rule names. Of several formats of a font or an image (`src: url(a.woff2), url(a.ttf)`,
`image-set(...)`) the first is taken, as by a browser that knows them all. Pure; called by `links`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from html.parser import HTMLParser
from typing import Any, TypeAlias

import tinycss2
import webencodings

from headstart.h2c.daemon.load.fonts import MOST_FAMILIES, family_of, used_families
from headstart.h2c.daemon.load.resource import Kind, Reference, Want, resolve, wants

Attributes: TypeAlias = dict[str, str]

_INERT = frozenset({"noscript", "template"})
_SCRIPT_TYPES = frozenset(
    {"", "module", "text/javascript", "application/javascript", "text/ecmascript"}
)
_PRELOADS = {
    "style": Kind.STYLE,
    "script": Kind.SCRIPT,
    "font": Kind.FONT,
    "image": Kind.IMAGE,
    "fetch": Kind.OTHER,
    "track": Kind.OTHER,
}
# HTML, 4.2.5.4: the encoding stands within the first 1024 bytes.
_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_:.-]+)", re.IGNORECASE)
_CHARSET_WITHIN = 1024
# A tag is seldom longer.
_UNFINISHED = 4096
# How much the scanner is given before its bound is looked at again.
_PIECE = 16 * 1024
MOST_TOKENS = 100_000
"""Tags, comments and pieces of text of one page; what follows is not read for links.

A few KiB of gzip can stand for a million of them, which would take seconds.
"""
_DEEPEST = 50
_IMAGE_SETS = frozenset({"image-set", "-webkit-image-set"})


class Document:
    """Reads a page piece by piece and collects its links.

    Args:
        url: The page's URL.
        charset: The charset in Content-Type, "" if it has none.
    """

    def __init__(self, url: str, charset: str = "") -> None:
        self._url = url
        self._scanner = _Scanner(url)
        self._charset = charset
        self._head = b""
        self._text = ""
        self._decoder = _decoder(charset) if charset else None

    @property
    def families(self) -> set[str]:
        """Return the families that its styles use, so far."""
        return self._scanner.families

    def feed(self, data: bytes, *, final: bool = False) -> list[Want]:
        """Return the links found in the next piece."""
        if self._decoder is None:
            self._head += data
            if len(self._head) < _CHARSET_WITHIN and not final:
                return []
            data, self._head = self._head, b""
            found = _CHARSET.search(data[:_CHARSET_WITHIN])
            self._decoder = _decoder(found[1].decode("ascii") if found else "utf-8")
        self._text += self._decoder.decode(data, final)
        # The scanner begins again with what it could not finish, a comment without an end, say:
        # so it gets no less than that, or the time would grow with the square of the length.
        unfinished = len(self._scanner.rawdata)
        if not final and unfinished > max(_UNFINISHED, len(self._text)):
            return []
        text, self._text = self._text, ""
        self._scan(text)
        if final and self._scanner.tokens < MOST_TOKENS:
            self._scanner.close()
        return self._scanner.take()

    def _scan(self, text: str) -> None:
        start = 0
        while start < len(text) and self._scanner.tokens < MOST_TOKENS:
            size = max(_PIECE, len(self._scanner.rawdata))
            self._scanner.feed(text[start : start + size])
            start += size


def kind_of_preload(as_: str) -> Kind | None:
    """Return the kind of a preload with this `as`, or None if browsers ignore it."""
    return _PRELOADS.get(as_.lower())


def _decoder(charset: str) -> webencodings.IncrementalDecoder:
    """By the names that browsers know; a byte order mark says more than they do."""
    known = webencodings.lookup(charset) or webencodings.UTF8
    return webencodings.IncrementalDecoder(known, "replace")


class _Scanner(HTMLParser):
    def __init__(self, url: str) -> None:
        super().__init__(convert_charrefs=True)
        self._base = self._url = url
        self._found: list[Want] = []
        self._inert = 0
        self._style: list[str] | None = None
        self.tokens = 0
        """How many there were."""
        self.families: set[str] = set()
        """The families that styles use."""

    def take(self) -> list[Want]:
        """Return the links found since the last call."""
        found, self._found = self._found, []
        return found

    def updatepos(self, i: int, j: int) -> int:
        """Count a token; lines, which the base class counts here, nobody wants to know."""
        self.tokens += 1
        return j

    def parse_marked_section(self, i: int, report: int = 1) -> int:
        """HTML, 13.2.5.42: `<![` is a comment, where the base class fails for some."""
        return self.parse_bogus_comment(i, bool(report))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in reversed(attrs)}
        if tag in _INERT:
            self._inert += 1
        elif tag == "base" and self._base == self._url and "href" in attributes:
            self._base = resolve(self._url, attributes["href"]) or self._base
        elif tag == "style":
            self._style = []
        if self._inert:
            return
        self._want(_of_tag(tag, attributes))
        if "style" in attributes and "url(" in attributes["style"].lower():
            self._want(links_of_style(attributes["style"]))
        if "font" in attributes.get("style", "").lower():
            self._use(attributes["style"])

    def handle_endtag(self, tag: str) -> None:
        if tag in _INERT:
            self._inert = max(self._inert - 1, 0)
        elif tag == "style" and self._style is not None:
            text, self._style = "".join(self._style), None
            if not self._inert:
                self._want(links_of_stylesheet(text))
                self._use(text)

    def handle_data(self, data: str) -> None:
        if self._style is not None:
            self._style.append(data)

    def _use(self, css: str) -> None:
        if len(self.families) < MOST_FAMILIES:
            self.families |= used_families(css)

    def _want(self, found: Iterator[Reference] | list[Reference]) -> None:
        self._found += wants(self._base, found, self._url)


def _of_tag(tag: str, attributes: Attributes) -> Iterator[Reference]:
    """Yield the references in the attributes of one tag."""
    match tag:
        case "link":
            yield from _of_link(attributes)
        case "script" if _is_run(attributes):
            yield Reference(attributes["src"], Kind.SCRIPT)
        case "img" if attributes.get("loading", "").lower() != "lazy":
            yield from _of_image(attributes)
        case "video" if attributes.get("poster"):
            yield Reference(attributes["poster"], Kind.IMAGE)
        case "input" if attributes.get("type", "").lower() == "image" and attributes.get("src"):
            yield Reference(attributes["src"], Kind.IMAGE)
        case _:
            return


def _is_run(attributes: Attributes) -> bool:
    kind = attributes.get("type", "").strip().lower()
    return bool(attributes.get("src")) and kind in _SCRIPT_TYPES and "nomodule" not in attributes


def _of_image(attributes: Attributes) -> Iterator[Reference]:
    chosen = attributes.get("src", "").strip()
    if not chosen:
        # HTML, 4.8.4.3.3: candidates have commas between them, URLs end with white space.
        candidates = attributes.get("srcset", "").split()
        chosen = candidates[0].rstrip(",") if candidates else ""
    if chosen:
        yield Reference(chosen, Kind.IMAGE)


def _of_link(attributes: Attributes) -> Iterator[Reference]:
    href = attributes.get("href", "").strip()
    rels = attributes.get("rel", "").lower().split()
    if not href:
        return
    if "stylesheet" in rels and "alternate" not in rels and "disabled" not in attributes:
        yield Reference(href, Kind.STYLE)
    elif "preload" in rels and (kind := kind_of_preload(attributes.get("as", ""))) is not None:
        yield Reference(href, kind)
    elif "modulepreload" in rels:
        yield Reference(href, Kind.SCRIPT)
    elif "icon" in rels:
        yield Reference(href, Kind.IMAGE)


def links_of_stylesheet(text: str) -> list[Reference]:
    """Return the references in a stylesheet, in order."""
    rules = tinycss2.parse_stylesheet(text, skip_comments=True, skip_whitespace=True)
    return list(_of_rules(rules))


def links_of_style(text: str) -> list[Reference]:
    """Return the references in the value of a `style` attribute."""
    values = tinycss2.parse_component_value_list(text, skip_comments=True)
    return [Reference(reference, Kind.IMAGE) for reference in _urls(values, 0)]


def _of_rules(rules: Iterable[Any]) -> Iterator[Reference]:
    for rule in rules:
        keyword = getattr(rule, "lower_at_keyword", "")
        if keyword == "import":
            yield from (Reference(found, Kind.STYLE) for found in _first(rule.prelude))
        elif keyword == "namespace" or not getattr(rule, "content", None):
            continue
        elif keyword == "font-face":
            yield from _font(rule.content)
        else:
            yield from _within(rule.content)


def _within(content: Sequence[Any]) -> Iterator[Reference]:
    """Yield the references in a block: declarations, and rules in at-rules such as `@media`."""
    nested = False
    for token in content:
        if token.type == "at-keyword" and token.lower_value == "font-face":
            nested = True
        elif nested and token.type == "{} block":
            yield from _font(token.content)
            nested = False
        else:
            yield from (Reference(found, Kind.IMAGE) for found in _urls([token], 0))


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


def _font(content: Sequence[Any]) -> Iterator[Reference]:
    """Yield the first format of each `src`; a later `src` replaces an earlier one.

    Nothing if the font has none of the characters that nearly every page has.
    """
    found, family, is_wanted = "", "", True
    for one in tinycss2.parse_blocks_contents(content, skip_comments=True, skip_whitespace=True):
        if one.type != "declaration":
            continue
        if one.lower_name == "src":
            found = next(_urls(one.value, 0), "") or found
        elif one.lower_name == "font-family":
            family = family_of(tinycss2.serialize(one.value))
        elif one.lower_name == "unicode-range":
            is_wanted = _has_basic_latin(one.value)
    if found and is_wanted:
        yield Reference(found, Kind.FONT, family)


def _has_basic_latin(value: Iterable[Any]) -> bool:
    """Return whether a `unicode-range` has a visible character of ASCII, or cannot be read."""
    ranges = [token for token in value if token.type == "unicode-range"]
    return not ranges or any(token.start <= 0x7E and token.end >= 0x21 for token in ranges)


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
