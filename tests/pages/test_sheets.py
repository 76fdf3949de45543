"""The stylesheets that passed, and the fonts that those of a page name."""

from __future__ import annotations

import pytest

from headstart.learn import Kind, Named
from headstart.pages import sheets as module
from headstart.pages.sheets import Sheets
from headstart.pages.stylesheets import Stylesheet

ORIGIN = "https://a.test"
PAGE = 17


def style(target: str, media: str = "") -> Named:
    return Named(target, Kind.STYLE, media=media)


def kept(**named: Stylesheet) -> Sheets:
    """Stylesheets by their names: `a` is /a.css."""
    made = Sheets()
    for name, sheet in named.items():
        made.keep(ORIGIN, f"/{name}.css", sheet, 1)
    return made


def fonts(made: Sheets, *named: Named) -> tuple[list[str], tuple[str, ...]]:
    """The targets of the fonts, and the stylesheets with no other fonts."""
    found, whole = made.fonts_of(PAGE, ORIGIN, named)
    return [font.target for font in found], whole


def test_font_of_a_stylesheet_is_fetched_in_cors_mode_as_the_stylesheet_is() -> None:
    made = kept(a=Stylesheet(("/a.woff2",)))

    found, whole = made.fonts_of(PAGE, ORIGIN, [style("/a.css", "print")])

    expected = Named("/a.woff2", Kind.FONT, crossorigin="anonymous", media="print", sheet="/a.css")
    assert (found, whole) == ((expected,), ("/a.css",))


def test_only_stylesheets_of_the_page_count_and_no_font_that_its_html_names() -> None:
    made = kept(a=Stylesheet(("/a.woff2", "/b.woff2")), other=Stylesheet(("/x.woff2",)))

    named = style("/a.css"), Named("/b.woff2", Kind.FONT), Named("/other.css", Kind.SCRIPT)

    assert fonts(made, *named) == (["/a.woff2"], ("/a.css",))


def test_imports_are_followed_and_an_unknown_one_leaves_the_stylesheet_unfinished() -> None:
    made = kept(
        a=Stylesheet((), ("/b.css",)),
        b=Stylesheet(("/b.woff2",), ("/c.css",)),
        c=Stylesheet(("/c.woff2",), ("/d.css",)),
        d=Stylesheet(("/d.woff2",)),
    )

    # /d.css is imported too deep.
    assert fonts(made, style("/a.css")) == (["/b.woff2", "/c.woff2"], ("/a.css",))
    assert fonts(kept(a=Stylesheet((), ("/b.css",))), style("/a.css")) == ([], ())


def test_stylesheet_that_is_unknown_or_was_not_read_to_its_end_may_have_other_fonts() -> None:
    made = kept(a=Stylesheet(("/a.woff2",), whole=False))

    assert fonts(made, style("/a.css"), style("/new.css")) == (["/a.woff2"], ())


def test_stylesheet_is_read_again_once_its_signature_changes() -> None:
    made = kept(a=Stylesheet())
    made.keep(ORIGIN, "/b.css", Stylesheet(), 0)

    assert made.is_read(ORIGIN, "/a.css", 1)
    assert not made.is_read(ORIGIN, "/a.css", 2)
    assert not made.is_read(ORIGIN, "/b.css", 0)
    assert not made.is_read(ORIGIN, "/new.css", 1)


def test_version_of_a_page_changes_with_the_fonts_of_its_stylesheets() -> None:
    made = kept(a=Stylesheet(("/a.woff2",)))
    assert made.version_of(PAGE) == 0
    fonts(made, style("/a.css"))
    first = made.version_of(PAGE)

    made.keep(ORIGIN, "/a.css", Stylesheet(("/a.woff2",)), 2)
    same = made.version_of(PAGE)
    made.keep(ORIGIN, "/a.css", Stylesheet(("/b.woff2",)), 3)

    assert first == same != 0
    assert made.version_of(PAGE) not in (0, first)
    assert fonts(made) == ([], ())
    assert made.version_of(PAGE) == 0


def test_page_with_many_stylesheets_and_fonts_gives_no_more_than_the_bounds() -> None:
    many = tuple(f"/{number}.woff2" for number in range(100))
    made = kept(a=Stylesheet(many), **{f"s{n}": Stylesheet((f"/{n}.ttf",)) for n in range(20)})

    found, whole = fonts(made, style("/a.css"))
    assert (len(found), whole) == (16, ())
    found, whole = fonts(made, *(style(f"/s{number}.css") for number in range(20)))
    assert (len(found), len(whole)) == (8, 8)


def test_stylesheets_and_pages_are_kept_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_BYTES", 1000)
    monkeypatch.setattr(module, "_MOST_PAGES", 2)
    made = kept(old=Stylesheet(("/old.woff2",)))
    for page in (1, 2, 3):
        made.fonts_of(page, ORIGIN, [style("/old.css")])

    assert [bool(made.version_of(page)) for page in (1, 2, 3)] == [False, True, True]
    for number in range(10):
        made.keep(ORIGIN, f"/{number}.css", Stylesheet(("/x.woff2",)), 1)
    assert not made.is_read(ORIGIN, "/old.css", 1)
    assert made.is_read(ORIGIN, "/9.css", 1)
