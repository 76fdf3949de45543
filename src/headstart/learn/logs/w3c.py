"""Extended logs of the W3C, as IIS and CloudFront write them: `#Fields:` names the columns.

https://www.w3.org/TR/WD-logfile.html, with spaces between the columns (IIS) or tabs (CloudFront).
The columns may change within a file. Called by `file`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final
from urllib.parse import quote, unquote

from headstart.learn.logs.lines import Fields

FIELDS: Final = "#Fields:"
"""How the line begins that names the columns."""

_ALIASES: Final = {
    "client": ("x-forwarded-for", "c-ip"),
    "method": ("cs-method",),
    "host": ("x-host-header", "cs-host", "cs(Host)"),
    "status": ("sc-status",),
    "size": ("sc-bytes",),
    "type": ("sc-content-type",),
    "referer": ("cs(Referer)",),
    "agent": ("cs(User-Agent)",),
}


class Columns:
    """The columns of one log, as its last `#Fields:` line named them."""

    def __init__(self) -> None:
        self._names: list[str] = []

    def requests(self, lines: Iterable[str | None]) -> Iterator[str | None]:
        """Yield the lines without directives; remember the columns that they name."""
        for line in lines:
            text = (line or "").lstrip("\ufeff")
            if text.startswith(FIELDS):
                self._names = text.removeprefix(FIELDS).split()
            elif line is None or not text.startswith("#"):
                yield line

    def fields_of(self, line: str) -> Fields | None:
        """Return the named fields of a line, None where it has another number of columns."""
        tabs = "\t" in line
        values = line.strip("\r\n").split("\t" if tabs else " ")
        if len(values) != len(self._names):
            return None
        row = dict(zip(self._names, values, strict=True))
        if tabs:
            # CloudFront percent-encodes each value, so a percent sign of a URL is %25.
            row = {name: unquote(value) if "%" in value else value for name, value in row.items()}
        else:
            row["cs(User-Agent)"] = row.get("cs(User-Agent)", "-").replace("+", " ")
        return named_in(row)


def named_in(row: Mapping[str, str]) -> Fields | None:
    """Return the named fields of a row, None where it has no time or no path.

    Args:
        row: Values by the names of the W3C and its extensions; `-` is an empty one.
    """
    if not {"date", "time", "cs-uri-stem"} <= row.keys():
        return None
    found = {
        name: next((row[alias] for alias in aliases if row.get(alias, "-") != "-"), "")
        for name, aliases in _ALIASES.items()
        if any(alias in row for alias in aliases)
    }
    path, query = row["cs-uri-stem"], row.get("cs-uri-query", "-")
    if not path.isascii():  # IIS writes what it decoded
        path = quote(path, safe="/%!$&'()*+,;=:@~")
    found["client"] = found.get("client", "").partition(",")[0]
    found["url"] = path if query in ("-", "") else f"{path}?{query}"
    found["time"] = f"{row['date']} {row['time']}Z"
    return found
