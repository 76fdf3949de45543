#!/usr/bin/env python3
"""Draws the demo site's font: the letters of `headstart` in blocks of five by seven.

Writes src/headstart/demo/blocks.woff2. Needs fonttools and brotli, which nothing else does, so the
font is kept with the sources and this script only says where it came from.
"""

from pathlib import Path

from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen

LETTERS = {
    "a": ".###. #...# #...# ##### #...# #...# #...#",
    "d": "####. #...# #...# #...# #...# #...# ####.",
    "e": "##### #.... #.... ####. #.... #.... #####",
    "h": "#...# #...# #...# ##### #...# #...# #...#",
    "r": "####. #...# #...# ####. #.#.. #..#. #...#",
    "s": ".#### #.... #.... .###. ....# ....# ####.",
    "t": "##### ..#.. ..#.. ..#.. ..#.. ..#.. ..#..",
}
BLOCK = 100
TARGET = Path(__file__).parents[1] / "src/headstart/demo/blocks.woff2"


def glyph(rows: list[str]) -> object:
    """Return the outline of a glyph that is drawn as rows of blocks."""
    pen = TTGlyphPen(None)
    for down, row in enumerate(rows):
        for across, cell in enumerate(row):
            if cell == "#":
                left, bottom = across * BLOCK, (len(rows) - 1 - down) * BLOCK
                pen.moveTo((left, bottom))
                for corner in ((0, BLOCK), (BLOCK, BLOCK), (BLOCK, 0)):
                    pen.lineTo((left + corner[0], bottom + corner[1]))
                pen.closePath()
    return pen.glyph()


def main() -> None:
    """Write the font."""
    font = FontBuilder(8 * BLOCK, isTTF=True)
    names = [".notdef", "space", *LETTERS]
    font.setupGlyphOrder(names)
    font.setupCharacterMap({ord(" "): "space"} | {ord(letter): letter for letter in LETTERS})
    font.setupGlyf({name: glyph(LETTERS.get(name, "").split()) for name in names})
    font.setupHorizontalMetrics(dict.fromkeys(names, (6 * BLOCK, 0)))
    font.setupHorizontalHeader(ascent=7 * BLOCK, descent=-BLOCK)
    font.setupNameTable({"familyName": "Headstart Blocks", "styleName": "Regular"})
    font.setupOS2(sTypoAscender=7 * BLOCK, usWinAscent=7 * BLOCK, usWinDescent=BLOCK)
    font.setupPost()
    font.font.flavor = "woff2"
    font.save(TARGET)


if __name__ == "__main__":
    main()
