r"""nginx: a `map` from the path of the request line to the value of `Link`.

In a quoted string of nginx's, `\` and `"` are escaped. A `$` begins a variable in a map's values
and cannot be escaped there, so it comes from a variable of its own (`geo` has no variables in its
values). In keys it is a character like others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from headstart.export.formats import Format
from headstart.export.paths import as_regex
from headstart.export.plan import LinkedPage, Reason

# A bucket has to hold its longest key with two pointers and a length (ngx_hash.c). Unless told
# otherwise nginx makes buckets of a cache line, at least 32 bytes.
_BUCKET: Final = 32
_AROUND: Final = 26
# Characters of one token (NGX_CONF_BUFFER is 4096).
_MOST: Final = 3500

_USAGE: Final = (
    "Include this file in the http block, for instance by putting it into /etc/nginx/conf.d/, and "
    "add this line to the server block of {origin}. A location with add_header lines of its own "
    "needs it, too.",
    "    add_header Link $headstart_link;",
    "nginx sends no 103 of its own. 1.29 and newer pass on those of a server behind it, for "
    "instance `headstart proxy`. The first line goes into the http block, the second beside "
    "the proxy_pass:",
    "    map $http_sec_fetch_mode $early_hints { navigate $http2$http3; }\n"
    "    early_hints $early_hints;",
    "nginx 1.13.9 to 1.25.0 can push what Link names, to clients that accept it:",
    "    http2_push_preload on;",
)


def fits(page: LinkedPage) -> Reason | None:
    """Return why this format cannot have the page, or None."""
    return Reason.SYNTAX if len(_quoted(page.path)) > _MOST else None


def write(pages: Sequence[LinkedPage]) -> Iterator[str]:
    """Yield the lines for these pages."""
    longest = max((len(page.path) for page in pages), default=0) + _AROUND
    if longest > _BUCKET:
        size = 1 << (longest - 1).bit_length()
        yield "# If your configuration has this line already, give it the larger number, and remove"
        yield "# this one."
        yield f"map_hash_bucket_size {max(size, 64)};"
        yield ""
    if any("$" in page.value for page in pages):
        yield 'geo $headstart_dollar { default "$"; }'
    yield "map $request_uri $headstart_path {"
    yield r'    "~^([^?]*)" $1;'
    yield "}"
    yield "map $headstart_path $headstart_link {"
    alike = Counter(page.path.lower() for page in pages)
    for page in pages:
        # Keys are compared without regard to case; regular expressions are not.
        differs = alike[page.path.lower()] > 1
        key = f'"~^{as_regex(page.path, octets=True)}$"' if differs else _quoted(page.path)
        value = _quoted(page.value).replace("$", "${headstart_dollar}")
        yield f"    {key} {value};"
    yield "}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


FORMAT: Final = Format(_USAGE, write, fits, early=False)
