"""Find the assets that a page's HTML loads.

Pure: takes bytes, returns names; never raises for any input. `tags` finds the tags, and lexbor
reads their attributes. Called by `reading`.

Follows the HTML standard for assets that a browser fetches without a script or a stylesheet asking
for them. Assets that it fetches late, or perhaps never, are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from selectolax.lexbor import LexborHTMLParser
from webencodings import lookup

from headstart.learn import Kind, Named, OtherOrigin
from headstart.pages.addresses import Addresses
from headstart.pages.tags import Tag, find_tags

_Attributes: TypeAlias = Mapping[str, str | None]

_MOST_NAMES = 64
_MOST_ORIGINS = 4
_MOST_ALTERNATIVES = 64
_MOST_ICONS = 16
# A value that is longer is left out, and its asset with it: links are to be short.
_LONGEST_VALUE = 512
_LONGEST_CANDIDATES = 1024
_LONGEST_LIST = 8 * 1024
# HTML, 4.12.1.1, and MIME Sniffing, 4.6: the types of a classic script that are still met.
_CLASSIC_SCRIPTS = frozenset(
    ("", "text/javascript", "application/javascript", "application/x-javascript", "text/ecmascript")
)
_KINDS = {kind.value: kind for kind in Kind}
# HTML, 4.6.7.9, and those of Apple, which other browsers read, too.
_ICON_RELS = frozenset(("icon", "apple-touch-icon", "apple-touch-icon-precomposed", "mask-icon"))
# Media that hold on every screen, so that a link need not say them.
_ALWAYS = frozenset(("", "all", "screen", "only screen"))
# Encodings whose tags are not ASCII bytes.
_WIDE = frozenset(("utf-16le", "utf-16be", "iso-2022-jp"))
_UTF8 = "utf-8"
_MARK = b" headstart-at="


@dataclass(frozen=True, slots=True)
class Markup:
    """The assets that a page names, in order.

    Attributes:
        named: Assets of the page's own origin.
        others: Other origins that it loads from.
        alternatives: Images of which a browser takes one of several.
        icons: Images of the page's own origin that it names as icons and not otherwise.
    """

    named: tuple[Named, ...] = ()
    others: tuple[OtherOrigin, ...] = ()
    alternatives: tuple[str, ...] = ()
    icons: tuple[str, ...] = ()


def read_markup(page: bytes, url: str, charset: str = "") -> Markup:
    """Read a page.

    Args:
        page: The beginning of the document, content codings undone.
        url: The page's own, absolute.
        charset: As the response's Content-Type says, or "".
    """
    tags = list(find_tags(page))
    reader = _Reader(url)
    for tag, attributes in _attributes(tags, _encoding(page, tags, charset)):
        reader.read(tag, attributes)
    return Markup(
        tuple(reader.named.values()),
        tuple(reader.others.values()),
        tuple(reader.alternatives)[:_MOST_ALTERNATIVES],
        tuple(icon for icon in reader.icons if icon not in reader.named)[:_MOST_ICONS],
    )


def _encoding(page: bytes, tags: list[Tag], charset: str) -> str:
    """Return the name of the page's encoding (HTML, 13.2.3.1), or "" if its tags cannot be read."""
    if page.startswith(b"\xef\xbb\xbf"):
        return _UTF8
    if page.startswith((b"\xfe\xff", b"\xff\xfe")):
        return ""
    if not charset:
        for _, attributes in _attributes([tag for tag in tags if tag.name == b"meta"], _UTF8):
            content = (attributes.get("content") or "").lower().partition("charset=")[2]
            if charset := attributes.get("charset") or content:
                break
    found = lookup(charset)
    name = _UTF8 if found is None else str(found.name)
    return "" if name in _WIDE else name


def _attributes(tags: list[Tag], encoding: str) -> Iterator[tuple[Tag, _Attributes]]:
    """Yield each tag with its attributes; of two with one name the first counts."""
    if not encoding or not tags:
        return
    # The mark comes first, so no attribute of the page can stand in its place.
    markup = b"".join(
        b"<%s%s%d %s</%s>" % (tag.name, _MARK, at, tag.rest, tag.name)
        for at, tag in enumerate(tags)
    )
    if encoding != _UTF8:
        codec = lookup(encoding)
        markup = markup.decode(codec.codec_info.name, "replace").encode() if codec else markup
    for node in LexborHTMLParser(markup).css("[headstart-at]"):
        attributes = node.attributes
        mark = attributes["headstart-at"] or ""
        if mark.isdecimal() and int(mark) < len(tags):
            yield tags[int(mark)], attributes


class _Reader:
    """Read tags one by one, and collect the assets that they name."""

    def __init__(self, url: str) -> None:
        self.named: dict[str, Named] = {}
        self.others: dict[OtherOrigin, OtherOrigin] = {}
        self.alternatives: dict[str, None] = {}
        self.icons: dict[str, None] = {}
        self._addresses = Addresses(url)
        self._based = False

    def read(self, tag: Tag, attributes: _Attributes) -> None:
        """Take a tag."""
        match tag.name:
            case b"link":
                self._link(attributes)
            case b"script":
                self._script(attributes)
            case b"img":
                self._image(attributes, alternative=tag.alternative)
            case b"source":
                self._choices(attributes.get("srcset") or "")
            case b"base" if not self._based and (href := attributes.get("href")) is not None:
                self._based = True
                self._addresses.rebase(href)
            case _:
                pass

    def _link(self, attributes: _Attributes) -> None:
        rels = (attributes.get("rel") or "").lower().split()
        href = attributes.get("href") or ""
        if "disabled" in attributes:
            return
        if "stylesheet" in rels:
            if "alternate" not in rels and _type(attributes) in ("", "text/css"):
                self._name(href, Kind.STYLE, attributes)
        elif "modulepreload" in rels:
            if (attributes.get("as") or "script").lower() == "script":
                self._name(href, Kind.SCRIPT, attributes, module=True)
        elif "preload" in rels:
            kind = _KINDS.get((attributes.get("as") or "").lower())
            if kind is Kind.IMAGE:
                self._with_candidates(
                    href, attributes.get("imagesrcset"), attributes.get("imagesizes"), attributes
                )
            elif kind is not None:
                self._name(href, kind, attributes)
        elif "preconnect" in rels:
            self._other(href, cors="crossorigin" in attributes)
        elif not _ICON_RELS.isdisjoint(rels):
            address = self._addresses.resolve(href)
            if address is not None and address.own:
                self.icons[address.target] = None

    def _script(self, attributes: _Attributes) -> None:
        kind, src = _type(attributes), attributes.get("src") or ""
        if kind == "module":
            self._name(src, Kind.SCRIPT, attributes, module=True, late="async" in attributes)
        elif kind in _CLASSIC_SCRIPTS and "nomodule" not in attributes:
            late = "async" in attributes or "defer" in attributes
            self._name(src, Kind.SCRIPT, attributes, late=late)

    def _image(self, attributes: _Attributes, *, alternative: bool) -> None:
        if alternative:
            self._choices(attributes.get("srcset") or "")
            self._choices(attributes.get("src") or "")
            return
        if (attributes.get("loading") or "").lower() == "lazy" or _is_pixel(attributes):
            return
        if (attributes.get("fetchpriority") or "").lower() == "low":
            return
        self._with_candidates(
            attributes.get("src") or "",
            attributes.get("srcset"),
            attributes.get("sizes"),
            attributes,
        )

    def _with_candidates(
        self, src: str, candidates: str | None, sizes: str | None, attributes: _Attributes
    ) -> None:
        """Take an image. Without all of its candidates a link would name the wrong one."""
        sizes = " ".join((sizes or "").split())
        if not candidates:
            self._name(src, Kind.IMAGE, attributes)
            return
        choices = self._choices(candidates)
        written = ", ".join(f"{target} {size}".rstrip() for target, size in choices)
        if choices and len(written) <= _LONGEST_CANDIDATES and len(sizes) <= _LONGEST_VALUE:
            src = src or choices[0][0]
            self._name(src, Kind.IMAGE, attributes, imagesrcset=written, imagesizes=sizes)

    def _choices(self, candidates: str) -> list[tuple[str, str]]:
        """Return image candidates, and keep that a browser takes one of them."""
        choices = self._addresses.candidates(candidates[:_LONGEST_LIST])
        self.alternatives.update(dict.fromkeys(target for target, _ in choices))
        return choices

    def _name(
        self,
        href: str,
        kind: Kind,
        attributes: _Attributes,
        *,
        module: bool = False,
        late: bool = False,
        imagesrcset: str = "",
        imagesizes: str = "",
    ) -> None:
        media = " ".join((attributes.get("media") or "").lower().split())
        integrity = " ".join((attributes.get("integrity") or "").split())
        if media == "print" or max(len(media), len(integrity)) > _LONGEST_VALUE:
            return
        crossorigin = _crossorigin(attributes)
        if kind is Kind.FONT or module:
            crossorigin = crossorigin or "anonymous"
        address = self._addresses.resolve(href)
        if address is None:
            return
        if not address.own:
            if kind is not Kind.IMAGE:
                self._keep_other(address.origin, cors=crossorigin == "anonymous")
            return
        if len(self.named) < _MOST_NAMES and address.target not in self.named:
            self.named[address.target] = Named(
                target=address.target,
                kind=kind,
                module=module,
                crossorigin=crossorigin,
                integrity=integrity,
                fetchpriority=_fetchpriority(attributes),
                media="" if media in _ALWAYS else media,
                imagesrcset=imagesrcset,
                imagesizes=imagesizes,
                late=late,
                nonced="nonce" in attributes,
            )

    def _other(self, href: str, *, cors: bool) -> None:
        address = self._addresses.resolve(href)
        if address is not None and not address.own:
            self._keep_other(address.origin, cors=cors)

    def _keep_other(self, origin: str, *, cors: bool) -> None:
        if len(self.others) < _MOST_ORIGINS:
            other = OtherOrigin(origin, cors)
            self.others.setdefault(other, other)


def _type(attributes: _Attributes) -> str:
    return (attributes.get("type") or "").partition(";")[0].strip().lower()


def _crossorigin(attributes: _Attributes) -> Literal["", "anonymous", "use-credentials"]:
    """Return the mode (HTML, 2.5.4): a value that is not known stands for "anonymous"."""
    if "crossorigin" not in attributes:
        return ""
    value = (attributes["crossorigin"] or "").lower()
    return "use-credentials" if value == "use-credentials" else "anonymous"


def _fetchpriority(attributes: _Attributes) -> Literal["", "high", "low"]:
    value = (attributes.get("fetchpriority") or "").lower()
    return "high" if value == "high" else "low" if value == "low" else ""


def _is_pixel(attributes: _Attributes) -> bool:
    """Return whether the image is one of those that only count visits."""
    return any((attributes.get(side) or "").strip() in ("0", "1") for side in ("width", "height"))
