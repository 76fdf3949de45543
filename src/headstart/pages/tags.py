"""The few tags of a page that name assets, found without building a tree.

Pure: bytes in, tags out. Called by `markup`. A tree is what costs: the HTML standard lets 16 KB of
nested formatting elements become a million nodes, and every parser that builds one follows it. This
scan takes time in proportion to any input, and leaves the attributes of its tags to a parser.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

# What ends a tag's name (HTML, 13.2.5.8).
_END = rb"[ \t\r\n\f/>]"
# The attributes of a tag and its end: `>` ends it unless it stands in a quoted value, and quotes
# mean something only behind `=` (HTML, 13.2.5.32 to 13.2.5.39). Nothing in these is tried twice.
_REST = rb"(?:[^>=]*+(?:=[ \t\r\n\f]*+(?:\"[^\"]*+\"|'[^']*+')?+[^>=]*+)*+(?:>|\Z))"
# Elements whose content is text to a browser that runs scripts (HTML, 13.2.5.2 to 13.2.5.5), and
# others that matter; images are looked for only as long as they may be above the fold.
_TEXT = (
    b"script",
    b"style",
    b"title",
    b"textarea",
    b"noscript",
    b"iframe",
    b"noembed",
    b"noframes",
    b"xmp",
)
_OTHERS = (b"link", b"base", b"meta", b"template", b"picture", b"source", b"plaintext")
_YIELDED = frozenset((b"base", b"meta", b"link", b"script", b"img", b"source"))
# A browser lays out about so many images before the first screen is full.
_IMAGES = 8
# Even a page of 256 KiB has far fewer of these tags, unless it is made to cost time.
_MOST_TAGS = 2000


def _next_tag(names: tuple[bytes, ...]) -> re.Pattern[bytes]:
    """Return a pattern for all up to the next tag of these names, and that tag.

    For text in lower case. All else is passed over inside of one match, which takes a third of the
    time that a match for each tag would.
    """
    initials = sorted({name[:1] for name in names})
    others = b"[^" + b"".join(initials) + rb"\W\d_]"
    known = [
        initial
        + b"(?!(?:"
        + b"|".join(name[1:] for name in names if name[:1] == initial)
        + b")"
        + _END
        + b")"
        for initial in initials
    ]
    passed = (
        rb"[^<]*+<(?:/(?!(?:template|picture)" + _END + rb")[^>]*+>"
        rb"|(?:" + b"|".join((others, *known)) + rb")" + _REST + rb"|!--(?:-?>|(?>.*?--!?>)|.*\Z)"
        rb"|[!?][^>]*+(?:>|\Z)"
        rb"|(?=[^a-z/!?]|\Z))"
    )
    return re.compile(
        rb"(?:" + passed + rb")*+[^<]*+<(?P<closes>/?)(?P<name>" + b"|".join(names) + rb")"
        rb"(?P<rest>(?=" + _END + rb")" + _REST + rb")",
        re.DOTALL,
    )


_NEXT = _next_tag((*_TEXT, *_OTHERS, b"img"))
_NEXT_BUT_IMAGES = _next_tag((*_TEXT, *_OTHERS))
_ENDS = {name: re.compile(rb"</" + name + rb"(?=" + _END + rb")") for name in _TEXT}


class Tag(NamedTuple):
    """A start tag.

    Attributes:
        name: The element's name in lower case.
        rest: All behind the name, to the closing `>`.
        at: Where the tag begins, in bytes.
        alternative: The tag is an image's in a `picture`, which may name others for it.
    """

    name: bytes
    rest: bytes
    at: int
    alternative: bool


def find_tags(page: bytes) -> Iterator[Tag]:
    """Yield the page's `base`, `meta`, `link` and `script` tags, and its first images.

    Start tags, in order; of an image its `img` and the `source` tags beside it. Tags that a browser
    with scripts does not load are left out: comments, text, and the content of `template` and
    `noscript`. A tag that the end of the input cuts is left out too.
    """
    lower = page.lower()
    pattern = _NEXT
    at = templates = images = 0
    alternative = False
    for _ in range(_MOST_TAGS):
        found = pattern.match(lower, at)
        if found is None or not found["rest"].endswith(b">"):
            return
        at = found.end()
        name, closes = found["name"], bool(found["closes"])
        if name == b"plaintext":
            return
        if name == b"template":
            templates = max(0, templates + (-1 if closes else 1))
        elif name == b"picture":
            alternative = not closes
        elif not closes:
            if not templates and name in _YIELDED and (alternative or name != b"source"):
                begin, end = found.span("rest")
                yield Tag(name, page[begin:end], found.start("name") - 1, alternative)
            if name == b"img":
                images += 1
                pattern = _NEXT if images < _IMAGES else _NEXT_BUT_IMAGES
            if (closing := _ENDS.get(name)) is not None:
                if (close := closing.search(lower, at)) is None:
                    return
                at = close.start()
