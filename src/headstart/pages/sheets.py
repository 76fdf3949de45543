"""The stylesheets that passed, and the fonts that those of a page name.

Keeps the fonts of each stylesheet, and the stylesheets of each page; bounded. `reading` keeps
stylesheets here, and asks for the fonts when it reads a page. Pure.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from headstart.learn import Kind, Named
from headstart.pages.stylesheets import Stylesheet

# About the bytes that the names of all fonts may take, and what one takes beside its characters.
_MOST_BYTES = 256 * 1024
_NAME_BYTES = 80
_MOST_PAGES = 1000
# Of a page, so many stylesheets are looked at, and so many fonts are taken from each.
_MOST_STYLES = 8
_MOST_FONTS = 16
# How far imports are followed.
_DEEPEST = 2


@dataclass(frozen=True, slots=True)
class _Sheet:
    """A stylesheet that was read.

    Attributes:
        signature: Of the fields that change with its content, or 0.
        fonts: The targets of the fonts that it names.
        imports: The keys of the stylesheets that it imports.
        whole: It was read to its end.
    """

    signature: int
    fonts: tuple[str, ...]
    imports: tuple[int, ...]
    whole: bool

    @property
    def bytes(self) -> int:
        """About the memory that it takes."""
        names = sum(_NAME_BYTES + len(font) for font in self.fonts)
        return names + _NAME_BYTES * (2 + len(self.imports))


class Sheets:
    """Keep the fonts of stylesheets; the one that was read longest ago goes first.

    It keeps hashes of pages and stylesheets, so that long URLs take no more room than short ones.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[int, _Sheet] = OrderedDict()
        self._pages: OrderedDict[int, tuple[int, ...]] = OrderedDict()
        self._bytes = 0

    def is_read(self, origin: str, target: str, signature: int) -> bool:
        """Return whether a stylesheet is kept, with this signature. The signature 0 is unknown."""
        known = self._known.get(hash((origin, target)))
        return known is not None and signature != 0 and known.signature == signature

    def keep(self, origin: str, target: str, sheet: Stylesheet, signature: int) -> None:
        """Keep a stylesheet.

        Args:
            origin: Scheme and authority.
            target: Path and query.
            sheet: Its fonts and imports.
            signature: Of the fields that change with its content, or 0.
        """
        key = hash((origin, target))
        if (old := self._known.pop(key, None)) is not None:
            self._bytes -= old.bytes
        # One more than are taken shows that there are more.
        fonts = sheet.fonts[: _MOST_FONTS + 1]
        imports = tuple(hash((origin, each)) for each in sheet.imports)
        kept = self._known[key] = _Sheet(signature, fonts, imports, sheet.whole)
        self._bytes += kept.bytes
        while self._bytes > _MOST_BYTES:
            self._bytes -= self._known.popitem(last=False)[1].bytes

    def version_of(self, page: int) -> int:
        """Return a number that changes when a stylesheet of the page names other fonts, 0 for none.

        Args:
            page: A number for the page, as for `fonts_of`.
        """
        fonts = [
            sheet.fonts
            for style in self._pages.get(page, ())
            for sheet in self._with_imports(style)
            if sheet is not None and sheet.fonts
        ]
        return hash(tuple(fonts)) if fonts else 0

    def fonts_of(
        self, page: int, origin: str, named: Iterable[Named]
    ) -> tuple[tuple[Named, ...], tuple[str, ...]]:
        """Return the fonts of a page's stylesheets, and the stylesheets with no other fonts.

        Args:
            page: A number for the page.
            origin: Scheme and authority.
            named: All that the page's HTML names.
        """
        in_html = {each.target for each in named}
        styles = {hash((origin, each.target)): each for each in named if each.kind is Kind.STYLE}
        self._note(page, tuple(styles)[:_MOST_STYLES])
        fonts: dict[str, Named] = {}
        whole = []
        for key, style in list(styles.items())[:_MOST_STYLES]:
            sheets = list(self._with_imports(key))
            found = {font: None for sheet in sheets if sheet is not None for font in sheet.fonts}
            for font in list(found)[:_MOST_FONTS]:
                if font not in in_html:
                    fonts.setdefault(font, _font_of(font, style))
            if len(found) <= _MOST_FONTS and all(sheet and sheet.whole for sheet in sheets):
                whole.append(style.target)
        return tuple(fonts.values()), tuple(whole)

    def _note(self, page: int, styles: tuple[int, ...]) -> None:
        self._pages.pop(page, None)
        if styles:
            self._pages[page] = styles
            if len(self._pages) > _MOST_PAGES:
                self._pages.popitem(last=False)

    def _with_imports(self, key: int, depth: int = 0) -> Iterator[_Sheet | None]:
        """Yield a stylesheet and those that it imports; None for each that is unknown."""
        known = self._known.get(key)
        yield known
        if known is not None and depth < _DEEPEST:
            for each in known.imports:
                yield from self._with_imports(each, depth + 1)


def _font_of(target: str, style: Named) -> Named:
    return Named(target, Kind.FONT, crossorigin="anonymous", media=style.media, sheet=style.target)
