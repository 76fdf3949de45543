r"""Lines of access logs as text: Apache's and nginx's combined format, and its usual additions.

    192.0.2.1 - - [10/Oct/2025:13:55:36 +0200] "GET / HTTP/1.1" 200 2326 "REFERER" "AGENT" MORE

A virtual host or X-Forwarded-For may stand before the client, more fields behind the agent,
numbers behind the size. Docker, docker compose, Kubernetes and syslog write more before all of it.
Each line is taken apart from left to right, once, so that no line costs more than its length.
Called by `file`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import ip_address
from typing import Final

from headstart.learn.logs.lines import Fields, PlainValues

_COLOUR = r"(?:\x1b\[[0-9;]{0,16}m)?"
_ISO = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)"
_TAGGED = r"[^ ]{1,255}[ ][^ :\[]{1,64}(?:\[\d{1,10}\])?:[ ]"
_PREFIX: Final = re.compile(
    rf"""{_COLOUR}(?:[\w.-]{{1,128}}[ ]{{1,64}}\|[ ]{_COLOUR})?  # docker compose: web-1  |
    (?:\[[\w./-]{{1,255}}\][ ])?                                 # kubectl logs --prefix: [pod/web]
    (?:<\d{{1,3}}>(?:1[ ])?)?                                    # syslog: priority, version
    (?:
        [A-Z][a-z]{{2}}[ ][ \d]\d[ ]\d\d:\d\d:\d\d[ ]{_TAGGED}   # Mar  2 00:00:00 host nginx[7]:
      | {_ISO}[ ]
        (?:
            std(?:out|err)[ ][FP][ ]                             # Kubernetes' files
          | {_TAGGED}                                            # journalctl, rsyslog
          | [^ ]{{1,255}}[ ][^ ]{{1,48}}[ ][^ ]{{1,128}}[ ][^ ]{{1,32}}[ ]-[ ]  # RFC 5424
        )?
    )?""",
    re.VERBOSE | re.ASCII,
)

_QUOTED = r'"([^"\\]*+(?:\\.[^"\\]*+)*+)"'
# Behind the time: the request, status and size; perhaps numbers; Referer and agent.
_EXCHANGE: Final = re.compile(
    rf" {_QUOTED} (\d{{3}}|-) (\d{{1,19}}|-)((?: [^\" ]{{1,32}}){{0,4}} {_QUOTED} {_QUOTED})?",
    re.ASCII,
)
# Most lines, whole, to be read at once: no prefix, no escapes, and nothing more than combined says.
# Few have a virtual host, so it is looked for last, and no field is taken apart twice.
_PLAIN: Final = re.compile(
    r"((?:[\w.-]{1,255}(?::\d{1,5})? )??[0-9A-Fa-f.:]{2,45}+ [^ |\[][^ \[]{0,64}+ [^ \[]{1,64}+) "
    r"\[([^\]]*+)\] "
    r'"([^" \\]++) ([^" \\]*+)(?: [^"\\]*+)?" (\d{3}|-) (\d{1,19}|-) '
    r'"([^"\\]*+)" "([^"\\]*+)"\s*\Z',
    re.ASCII,
)
_FORWARDED: Final = re.compile(r' "([0-9A-Fa-f.:]{2,45})[,"]')
_ESCAPE: Final = re.compile(r"((?:\\x[0-9A-Fa-f]{2})++)|\\(.)")
_LETTERS: Final = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "v": "\v", "f": "\f"}


def message_of(line: str) -> str:
    """Return the line without the prefix of a container's or a system's log."""
    match = _PREFIX.match(line)
    return line[match.end() :].strip() if match else line.strip()


def plain_values_of(line: str) -> PlainValues | None:
    """Return the named fields of a line's message in less time, or None for odd lines."""
    found = _PLAIN.match(line)
    if found is None:
        return None
    asker = _known_asker(found[1])
    return None if asker is None else asker + found.groups()[1:]


def fields_of(line: str) -> Fields | None:
    """Return the named fields of a line, None if it is not a line of an access log.

    A line of Apache's common format is one: it has no `referer`.
    """
    names, _, rest = line.partition(" [")
    time, _, rest = rest.partition("]")
    found = _EXCHANGE.match(rest)
    asker = _asker(names.split(" ")) if found else None
    if found is None or asker is None:
        return None
    request, status, size, more, referer, agent = found.groups()
    asked = request_line(unescaped(request))
    if asked is None:
        return None
    host, client = asker
    behind = _FORWARDED.match(rest, found.end())
    fields = {
        "time": time,
        "client": (behind and forwarded(client, behind[1])) or client,
        "host": host,
        "status": status,
        "size": size,
        **asked,
    }
    if more is not None:
        fields |= {"referer": unescaped(referer), "agent": unescaped(agent)}
    return fields


def request_line(text: str) -> Fields | None:
    """Return the method and the URL of a request's first line, None where it has none."""
    words = text.split(" ", 2)
    return {"method": words[0], "url": words[1]} if len(words) > 1 else None


def _asker(names: list[str]) -> tuple[str, str] | None:
    """Return the virtual host, "" where there is none, and the client.

    Args:
        names: The fields before the time: perhaps a virtual host, the client, the identd field,
            the user. A proxy in front may put several addresses for the client, with commas.
    """
    if len(names) < 3:
        return None
    first, second = names[0].strip('",'), names[1].strip('",')
    if _is_address(first):
        return "", first
    if _is_address(second):
        return _virtual_host(first), second
    # A name instead of an address: surely so where nothing comes from identd, as ever today.
    return ("", first) if second == "-" else None


@lru_cache(maxsize=4096)
def _known_asker(names: str) -> tuple[str, str] | None:
    """Return `_asker` of names with spaces between them; a client mostly comes again."""
    return _asker(names.split(" "))


def _virtual_host(name: str) -> str:
    """Return the host that the site's URLs have: behind a proxy not the port of the log."""
    host, _, port = name.rpartition(":")
    return "" if name == "-" else host if port.isdecimal() and host else name


def forwarded(client: str, others: str) -> str | None:
    """Return the client that a proxy in front named, None where the client is not such a proxy.

    Args:
        client: The address that the server saw; a proxy's is private.
        others: X-Forwarded-For, whose first address is the client's.
    """
    first = others.partition(",")[0].strip()
    return first if _is_private(client) and _is_address(first) else None


@lru_cache(maxsize=4096)
def _is_address(text: str) -> bool:
    try:
        ip_address(text.strip("[]"))
    except ValueError:
        return False
    return True


@lru_cache(maxsize=4096)
def _is_private(text: str) -> bool:
    return _is_address(text) and ip_address(text.strip("[]")).is_private


def unescaped(text: str) -> str:
    r"""Return the text without Apache's and nginx's escapes: \" and \x22."""
    return _ESCAPE.sub(_character, text) if "\\" in text else text


def _character(match: re.Match[str]) -> str:
    octets, letter = match.groups()
    if octets:
        return bytes.fromhex(octets.replace("\\x", "")).decode("utf-8", "replace")
    return _LETTERS.get(letter, letter)
