"""Formats of access logs that have no Referer, or none that was captured.

They are known by the shape of a line so that the reason can be told. Called by `file`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class BareFormat:
    """A format without a Referer.

    Attributes:
        name: Its name, for people.
        advice: How the server logs the Referer.
        shape: The beginning of its lines, without the prefix of a system's log.
    """

    name: str
    advice: str
    shape: re.Pattern[str]


_COMBINED: Final = (
    "Let it write the combined format, as docs/map.md shows, or give the logs of the servers "
    "behind it."
)
_FORMATS: Final = (
    # https://docs.haproxy.org/3.2/configuration.html#8.2: both fields are written as "" always.
    BareFormat(
        "HAProxy's clf format",
        _COMBINED,
        re.compile(
            r'[0-9A-Fa-f.:]{2,45} - - \[[^\]]{1,64}\] "[^"]*" (?:\d{3}|-1) \d{1,19} "" "" \d{1,5} '
        ),
    ),
    BareFormat(
        "HAProxy's httplog format",
        "Capture it in the frontend: http-request capture req.hdr(referer) len 512.",
        re.compile(
            r"[0-9A-Fa-f.:]{2,45}:\d{1,5} \[[^\]]{1,64}\] [^ ]{1,255} [^ ]{1,255} "
            r"[+-]?\d{1,10}(?:/[+-]?\d{1,10}){4} (?:\d{3}|-1) "
        ),
    ),
    # https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage
    BareFormat(
        "Envoy's default format",
        "Let it write JSON lines with %REQ(REFERER)% among them, as docs/map.md shows.",
        re.compile(
            r'\[\d{4}-\d\d-\d\dT[\d:.]{8,20}Z\] "[A-Z-]{1,32} [^ "]+ [^ "]+" \d{1,3} [^ ]{1,64} '
        ),
    ),
    BareFormat(
        "uvicorn's format",
        "Give the log of the server in front of it.",
        re.compile(r'(?:INFO: +)?[0-9A-Fa-f.:]{2,45}:\d{1,5} - "[A-Z-]{1,32} [^ "]+ HTTP/[\d.]+" '),
    ),
    # https://wiki.squid-cache.org/Features/LogFormat
    BareFormat(
        "Squid's native format",
        "Let Squid write the combined format: access_log ... logformat=combined.",
        re.compile(r" *\d{9,11}\.\d{3} +\d{1,10} [^ ]{1,255} [A-Z_]{3,64}/\d{3} \d{1,19} [A-Z-]+ "),
    ),
)


def bare_format_of(message: str) -> BareFormat | None:
    """Return the format of a line that has no Referer, or None for any other line.

    Args:
        message: The line without the prefix of a system's log.
    """
    return next((known for known in _FORMATS if known.shape.match(message)), None)
