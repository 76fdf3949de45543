"""URLs as the learner sees them: a page's path, its pattern, and a file name's stem.

Pure functions of strings, called by `safety`, `views`, `model` and `logs`.
"""

from __future__ import annotations

import re
from functools import lru_cache

# A segment that names one thing among many of its kind: a number, a date, a UUID, a long hash.
_IDENTIFIER = re.compile(r"[0-9][0-9._:-]*|[0-9a-fA-F]{8,}(?:-[0-9a-fA-F]+)*")

# A fingerprint stands between separators of a file name: at least eight characters as bundlers
# write them (hexadecimal, base 62 or base 64 url), with a digit and a letter among them, or a
# version number with a dot.
_FINGERPRINT = re.compile(
    r"(?<=[._-])(?:(?=[A-Za-z_-]*[0-9])(?=[0-9_-]*[A-Za-z])[A-Za-z0-9_-]{8,64}"
    r"|v?[0-9]+(?:\.[0-9]+)+)(?=\.)"
)

# Octets of the longest path whose pattern is remembered.
_SHORT = 128


def path_of(target: str) -> str:
    """Return the path of a target, which identifies a page.

    As in Jetty's filter, the query is not part of it: there may be a million of them, and tokens in
    them.
    """
    return target.partition("?")[0]


def origin_and_path(url: str) -> tuple[str, str]:
    """Split a page's URL into its origin and its path; the path of an origin alone is ""."""
    scheme, found, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{found}{host}", path_of(slash + path)


def extension(path: str) -> str:
    """Return the file name's extension in lower case, or ""."""
    name = path.rpartition("/")[2]
    return name.rpartition(".")[2].lower() if "." in name else ""


def pattern_of(path: str) -> str:
    """Return the pattern that a page borrows from: `/product/17` → `/product/*`.

    A page at the top level has none, "". The last segment varies within a directory; so do segments
    that are identifiers.
    """
    if path.count("/") < 2:
        return ""
    return _short_pattern(path) if len(path) <= _SHORT else _pattern(path)


def _pattern(path: str) -> str:
    segments = path.split("/")
    if len(segments) > 2 and not segments[-1]:
        segments.pop()
    if len(segments) <= 2:
        return ""
    kept = ["*" if _IDENTIFIER.fullmatch(segment) else segment for segment in segments[:-1]]
    return "/".join(kept) + "/*"


# It is asked several times for each view, mostly of the same pages; 0.2 MB at the most.
_short_pattern = lru_cache(maxsize=512)(_pattern)


def stem_of(target: str) -> str:
    """Return the part of an asset's URL that stays when its content changes, or "" without one.

    `/js/app.3f9a01bc.js` → `/js/app.*.js`, `/site.css?v=81` → `/site.css?*`.
    """
    path, question, _ = target.partition("?")
    directory, slash, name = path.rpartition("/")
    stem = _FINGERPRINT.sub("*", name)
    if stem == name and not question:
        return ""
    return f"{directory}{slash}{stem}{question and '?*'}"
