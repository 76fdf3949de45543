"""Read pages as they pass, and find the assets that their HTML loads.

    reading      captures of bodies, and when one is read
    opening      the beginning of a page, read while it goes out
    codings      decodes content codings
    markup       the assets that a page names
    stylesheets  the fonts and imports that a stylesheet names
    sheets       the fonts of each page's stylesheets
    addresses    the URLs in either
    tags         the tags in it

Never changes a response and never holds one up: bytes that went out are read a little later. Reads
    untrusted content,
so time and memory are bounded in all cases. Pure: times are
parameters. Imports `learn` for its results and `wire` for URLs; imported by `middleware`.
"""

from __future__ import annotations

from headstart.pages.opening import Opening, opening_of
from headstart.pages.reading import Capture, PageHead, PageReader

__all__ = ["Capture", "Opening", "PageHead", "PageReader", "opening_of"]
