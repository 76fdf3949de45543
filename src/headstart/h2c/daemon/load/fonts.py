"""The families that rules of a page's stylesheets name: browsers fetch no other fonts.

Pure. `documents` and `links` read each page and stylesheet with it; `loader` joins their families,
since a rule and its font may be in two stylesheets.
"""

from __future__ import annotations

import re

_COMMENT = re.compile(r"/\*.*?(?:\*/|\Z)", re.DOTALL)
_FACE = re.compile(r"@font-face\s*\{[^{}]*\}?", re.IGNORECASE)
# The value of a property that can name families; a custom property may stand for one.
_VALUE = re.compile(r"(?<![\w-])(?:font|font-family|--[\w-]+)\s*:([^;{}]*)", re.IGNORECASE)
_PARTS = re.compile(r"[,()!]")
_NO_WORDS = re.compile(r"[\s\"']+")
# A family with more words is unusual, and each word costs a name.
_MOST_WORDS = 10
MOST_FAMILIES = 10_000
"""Names that are kept of one page or stylesheet."""


def used_families(css: str) -> set[str]:
    """Return all that may be a family in rules or declarations, in lower case.

    The end of each part of a value counts, since `font` has the family behind other words.
    """
    found: set[str] = set()
    for value in _VALUE.finditer(_FACE.sub(" ", _COMMENT.sub(" ", css))):
        for part in _PARTS.split(value[1].lower()):
            words = _NO_WORDS.sub(" ", part).split()[-_MOST_WORDS:]
            found.update(" ".join(words[start:]) for start in range(len(words)))
        if len(found) >= MOST_FAMILIES:
            break
    return found


def family_of(value: str) -> str:
    """Return the family that the value of `font-family` in a font's rule names, in lower case."""
    return " ".join(_NO_WORDS.sub(" ", value.lower()).split())
