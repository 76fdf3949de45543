r"""Lines of HAProxy's `option httplog` and `option httpslog`.

    192.0.2.1:33317 [02/Mar/2026:12:00:00.655] web app/one 0/0/0/9/9 200 2750 - - ---- 1/1/1/1/0 0/0
    {https://shop.example/|Mozilla/5.0} "GET /a.css HTTP/1.1"

The fields that the configuration captures stand in braces, the request's first, without their
names. So the Referer and the agent are recognised by their looks.
https://docs.haproxy.org/3.2/configuration.html#8.2.3
Called by `file`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from headstart.learn.logs.lines import Fields
from headstart.learn.logs.text import forwarded, request_line

_LINE: Final = re.compile(
    r"([0-9A-Fa-f.:]{2,45}):\d{1,5} \[([^\]]{1,64})\] [^ ]{1,255} [^ ]{1,255} "
    r"[+-]?\d{1,10}(?:/[+-]?\d{1,10}){4} (\d{3}|-1) \+?(\d{1,19}) [^ ]{1,4096} [^ ]{1,4096} "
    r"[^ ]{2,8} \d{1,10}(?:/\+?\d{1,10}){4} \d{1,10}/\d{1,10} "
    r'(?:\{([^{}]*)\} )?(\{[^{}]*\} )?"([^"]*)"',
    re.ASCII,
)
_CODE: Final = re.compile(r"#([0-9A-F]{2})")
_PRODUCT: Final = re.compile(r"[A-Za-z][\w.-]*/\d", re.ASCII)
_URL: Final = ("http://", "https://")


def fields_of(message: str) -> Fields | None:
    """Return the named fields of a line, None if it is not one of HAProxy's.

    Without captures it has no `referer`.

    Args:
        message: The line without the prefix of a system's log.
    """
    found = _LINE.match(message)
    if found is None:
        return None
    client, time, status, size, captured, more, request = found.groups()
    asked = request_line(_decoded(request))
    if asked is None:
        return None
    fields = {
        # Of the machine's own zone, which it does not name.
        "time": f"{time} +0000",
        "client": client,
        "status": status,
        "size": size,
        **asked,
    }
    # The only captures may be the response's, and then a URL is that of a redirection.
    if captured is None or (more is None and status[0] == "3" and status != "304"):
        return fields
    return fields | _captures(client, [_decoded(each) for each in captured.split("|")])


def _captures(client: str, values: list[str]) -> Fields:
    return {
        "referer": next((each for each in values if each.startswith(_URL)), ""),
        "agent": next(filter(_PRODUCT.match, values), ""),
        "client": _first(forwarded(client, each) for each in values) or client,
    }


def _first(found: Iterable[str | None]) -> str | None:
    return next(filter(None, found), None)


def _decoded(text: str) -> str:
    """Return the text without HAProxy's codes for quotes, braces and unprintable octets."""
    if "#" not in text:
        return text
    octets = _CODE.sub(lambda code: chr(int(code[1], 16)), text)
    return octets.encode("latin-1", "replace").decode("utf-8", "replace")
