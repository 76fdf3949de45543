"""Templates with values, as responses: each value is escaped, because strangers name paths.

Jinja2 is imported when the first page is asked for, so health and metrics need it not. Called by
`views`.
"""

from __future__ import annotations

import time
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from headstart import figures
from headstart.admin.routes import Response, text
from headstart.admin.site import words
from headstart.extras import install_command
from headstart.learn.gains import FEWEST

if TYPE_CHECKING:
    from jinja2 import Environment

_NO_TEMPLATES: Final = (
    "The pages need Jinja2. Install it beside Headstart: {}\n"
    "/healthz and /readyz work without it.\n"
)
_PACKAGE: Final = "headstart.admin.site"


def page(template: str, status: int = 200, **values: Any) -> Response:
    """Return a template with values as a response."""
    try:
        made = _environment()
    except ImportError:
        return text(_NO_TEMPLATES.format(install_command("admin")), 501)
    content = made.get_template(template).render(values)
    # A path may hold half of a surrogate pair, which UTF-8 cannot.
    body = content.encode("utf-8", "replace")
    return Response(body=body, status=status, content_type="text/html; charset=utf-8")


@cache
def static(name: str) -> bytes:
    """Return a file of the folder `static`."""
    return resources.files(_PACKAGE).joinpath("static", name).read_bytes()


@cache
def _environment() -> Environment:
    """Return the templates and their filters.

    Raises:
        ImportError: Jinja2 is not installed.
    """
    import jinja2

    made = jinja2.Environment(
        loader=jinja2.PackageLoader(_PACKAGE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "share": share,
        "number": number,
        "seconds": figures.time,
        "saved": saved,
        "ago": ago,
        "clock": clock,
        "query": query,
        "plain": plain,
        "refusal": words.refusal,
        "withheld": words.withheld,
        "metric": words.metric,
    }
    # Macros that are imported see no values of the page, and these are no values of it.
    made.globals |= {"refusal": words.refusal, "closing": words.closing, "fewest": FEWEST}
    return made


def share(value: float | None) -> str:
    """Return a share of 1 in per cent, and a dash for none."""
    if value is None:
        return "\N{EN DASH}"
    # Rounded to nothing, a little waste would look like none.
    if 0 < value < 0.01:
        return "<1 %"
    return f"{value:.0%}".replace("%", " %")


def number(value: float) -> str:
    """Return a number with commas between thousands."""
    return f"{value:,.0f}"


def saved(seconds: float) -> str:
    """Return a difference of times with its sign and unit."""
    sign = "\N{MINUS SIGN}" if seconds < 0 else "+"
    return f"{sign}{figures.time(abs(seconds))}"


def ago(then: float, now: float) -> str:
    """Return how long ago a moment was."""
    seconds = max(now - then, 0.0)
    if seconds < 1:
        return "now"
    if seconds < 100:
        return f"{seconds:.0f} s ago"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min ago"
    return f"{seconds / 3600:.0f} h ago"


def clock(moment: float) -> str:
    """Return a moment as hours and minutes of this machine's time zone."""
    return time.strftime("%H:%M", time.localtime(moment))


def query(values: dict[str, Any]) -> str:
    """Return a query with its question mark, without empty values."""
    kept = {name: str(value) for name, value in values.items() if value not in ("", None, 0)}
    return "?" + urlencode(kept, errors="replace") if kept else "?"


def plain(name: str) -> str:
    """Return a stranger's name without characters that change the direction or cannot be seen."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in name)
