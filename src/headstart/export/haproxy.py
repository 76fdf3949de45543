r"""HAProxy: a variable with the links of the page, for `early-hint` and for the response.

Between single quotes nothing is escaped, and a quote itself stands outside of them. The value is a
log format, in which `%` is doubled.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from headstart.export.formats import Format
from headstart.export.plan import LinkedPage, Reason

_LINK: Final = "txn.headstart_link"
_EARLY: Final = "txn.headstart_early"
_USAGE: Final = (
    "HAProxy 2.5 or newer: put these lines into the frontend of {origin}, before its use_backend "
    "lines; they do not stand in a file of their own. Browsers that navigate over HTTP/2 get a 103 "
    "Early Hints, everybody a Link header.",
)


def fits(page: LinkedPage) -> Reason | None:
    """Return why this format cannot have the page, or None."""
    return None


def write(pages: Sequence[LinkedPage]) -> Iterator[str]:
    """Yield the lines for these pages."""
    for page in pages:
        condition = f"if {{ path -m str -- {_quoted(page.path)} }}"
        yield f"    http-request set-var-fmt({_LINK}) {_format(page.value)} {condition}"
        if page.early:
            yield f"    http-request set-var-fmt({_EARLY}) {_format(page.early)} {condition}"
    yield (
        f"    http-request early-hint Link %[var({_EARLY})] if {{ var({_EARLY}) -m found }} "
        "{ req.hdr(Sec-Fetch-Mode) -m str navigate } { fc_http_major ge 2 }"
    )
    yield f"    http-response add-header Link %[var({_LINK})] if {{ var({_LINK}) -m found }}"


def _format(value: str) -> str:
    return _quoted(value.replace("%", "%%"))


def _quoted(text: str) -> str:
    escaped = text.replace("'", "'\\''")
    return f"'{escaped}'"


FORMAT: Final = Format(_USAGE, write, fits)
