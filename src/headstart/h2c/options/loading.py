"""`h2c load`: a page and its assets.

Called by the package.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from headstart.errors import ConfigurationError
from headstart.h2c.options.connections import Trust, server_options, trust
from headstart.h2c.options.grammar import Grammar, count, size
from headstart.h2c.options.requests import header, header_option, path_or_url

DEFAULT_RESOURCES = 200
DEFAULT_BYTES = 64_000_000
# A program that opens the file by its extension would call it broken.
_OTHER_PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".pdf")


@dataclass(frozen=True, slots=True)
class LoadPage:
    """Fetch a page and its assets, as a browser would.

    Attributes:
        where: A path on the current connection, or a URL.
        headers: Headers of every request, names in lower case.
        waterfall: The file for a picture of it, "" for none.
        fail: Treat a status of 400 or above as an error.
        allow_pushes: Servers may push; without, the load has connections of its own.
    """

    where: str
    headers: tuple[tuple[bytes, bytes], ...]
    waterfall: str
    json: bool
    fail: bool
    timeout: float
    use_pushes: bool
    allow_pushes: bool
    use_hints: bool
    max_resources: int
    max_bytes: int
    trust: Trust


def declare(grammar: Grammar) -> None:
    """Declare the commands of this module."""
    options = grammar.command(
        "load",
        _load,
        "fetch a page with its assets, and show how each arrived",
        """
h2c load https://example.org/                        a waterfall on the terminal
h2c load https://example.org/ --waterfall page.svg   and as a picture
h2c load https://example.org/ --no-push              as today's browsers, which take no push
h2c load https://example.org/ --no-hints             as if nobody had sent a 103
""",
    )
    options.argument("where", metavar="PATH_OR_URL")
    options.value(
        "--waterfall",
        metavar="FILE",
        default="",
        help="draw it to this SVG file; an older picture is replaced once the page is loaded",
    )
    options.flag("--json", help="print all details as JSON")
    header_option(options)
    options.flag("--no-hints", help="do not fetch what a 103 or a Link field names")
    options.flag("--no-push", help="forbid pushes, on new connections, as today's browsers do")
    options.flag("--no-push-cache", help="send requests even where pushed responses wait")
    options.flag("--fail", help="a status from 400 on is an error: exit code 1")
    options.value(
        "--max-resources",
        metavar="N",
        type=count,
        default=DEFAULT_RESOURCES,
        help=f"fetch no more than so many (default: {DEFAULT_RESOURCES})",
    )
    options.value(
        "--max-bytes",
        metavar="SIZE",
        type=size,
        default=DEFAULT_BYTES,
        help="stop at so many bytes, such as 500kB (default: 64MB)",
    )
    options.timeout()
    server_options(options)


def _load(given: argparse.Namespace) -> LoadPage:
    if given.waterfall == "-":
        # The table goes to standard output, so a picture there would be mixed with it.
        raise ConfigurationError("the waterfall needs a file; write --waterfall page.svg")
    if given.waterfall.lower().endswith(_OTHER_PICTURES):
        name, _, _ = given.waterfall.rpartition(".")
        raise ConfigurationError(
            f"the waterfall is an SVG picture; write --waterfall {name or 'waterfall'}.svg"
        )
    return LoadPage(
        where=path_or_url(given.where),
        headers=tuple(header(text) for text in given.header),
        waterfall=given.waterfall,
        json=given.json,
        fail=given.fail,
        timeout=given.timeout,
        use_pushes=not given.no_push_cache,
        allow_pushes=not given.no_push,
        use_hints=not given.no_hints,
        max_resources=given.max_resources,
        max_bytes=given.max_bytes,
        trust=trust(given),
    )
