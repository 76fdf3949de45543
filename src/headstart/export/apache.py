r"""Apache: `H2EarlyHint` for the 103, `Header add Link` for the page, which mod_http2 also pushes.

A 103 goes out before the request is mapped to a file, so its page is found by `<LocationMatch>`,
which compares decoded paths. The page's own header comes last, and by then DirectoryIndex or a
rewrite may have made another request of it; the request line stays, so its expression looks at
that. `<Location>` would take every path below the page's as well.

Both are regular expressions with everything but letters and digits as `\xHH`, so neither a quote
nor `${...}`, which Apache expands in the whole file, can be in them. In the value `%` is doubled
for mod_headers, and `"` escaped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from headstart.export.formats import Format
from headstart.export.paths import as_regex, decoded
from headstart.export.plan import LinkedPage, Reason

_USAGE: Final = (
    "Include this file in the <VirtualHost> of {origin}. It needs mod_headers; for 103 Early Hints "
    "and Server Push it needs HTTP/2 (mod_http2, Protocols h2 http/1.1), and for 103 Apache 2.4.58 "
    "or newer with mod_version.",
)


def fits(page: LinkedPage) -> Reason | None:
    """Return why this format cannot have the page, or None."""
    if "${" in page.value:
        return Reason.SYNTAX
    return Reason.ENCODED if decoded(page.path) is None else None


def write(pages: Sequence[LinkedPage]) -> Iterator[str]:
    """Yield the lines for these pages."""
    yield "<IfModule headers_module>"
    for page in pages:
        line = rf"^GET\x20{as_regex(page.path, octets=True)}[\x20?]"
        value = _escaped(page.value.replace("%", "%%"))
        yield f'    Header add Link "{value}" "expr=%{{THE_REQUEST}} =~ m#{line}#"'
    yield "</IfModule>"
    yield "<IfModule http2_module>"
    yield "<IfVersion >= 2.4.58>"
    yield "    H2EarlyHints on"
    done: set[str] = set()
    for page in pages:
        path = as_regex(decoded(page.path) or "", octets=True)
        if page.early and path not in done:
            done.add(path)
            yield f'    <LocationMatch "^{path}$">'
            yield f'        H2EarlyHint Link "{_escaped(page.early)}"'
            yield "    </LocationMatch>"
    yield "</IfVersion>"
    yield "</IfModule>"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


FORMAT: Final = Format(_USAGE, write, fits)
