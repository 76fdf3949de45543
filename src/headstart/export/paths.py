"""Paths of pages as servers compare them: as they were sent, or decoded. Pure.

Paths come from access logs and from clients, so from strangers.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote_to_bytes

# Printable ASCII but `#` and `?`, and `%` only where it begins an escape. A request line can hold
# nothing else of a path (RFC 9112, 3.2), though clients are sloppy with quotes and braces.
_PLAIN: Final = re.compile(r"/(?:[!\"$&->@-~]|%[0-9A-Fa-f]{2})*")
# Servers merge slashes, and remove segments of dots, before they look.
_NORMALISED: Final = re.compile(r"//|/(?:\.|%2[Ee]){1,2}(?:/|$)")
_SPECIAL: Final = re.compile(r"[\x00-,.:-@\[-^`{-\x7f]")
_SPECIAL_OCTETS: Final = re.compile(r"[^A-Za-z0-9/_-]")
_SLASH: Final = re.compile(r"%2[Ff]|%5[Cc]")


def is_plain(path: str) -> bool:
    """Return whether a path reaches a server's rules as the client sent it, and fits on a line."""
    return _PLAIN.fullmatch(path) is not None and _NORMALISED.search(path) is None


def decoded(path: str) -> str | None:
    """Return a plain path with its escapes decoded, as Apache and Caddy compare it.

    Returns:
        The path, or None where it is not printable UTF-8, or would be the path of another resource,
        as with an escaped slash.
    """
    if _SLASH.search(path):
        return None
    try:
        text = unquote_to_bytes(path).decode()
    except UnicodeDecodeError:
        return None
    return text if text.isprintable() and _NORMALISED.search(text) is None else None


def as_regex(text: str, *, octets: bool) -> str:
    r"""Return a regular expression for exactly this text.

    All ASCII but letters, digits, `/`, `_` and `-` stands as `\xHH`, so nothing in it means
    anything to the syntax around it.

    Args:
        text: A decoded path.
        octets: The expression is matched with octets, as Apache's and nginx's are, so other letters
            stand as those of their UTF-8; otherwise as themselves.
    """
    special = _SPECIAL_OCTETS if octets else _SPECIAL
    return special.sub(
        lambda found: "".join(f"\\x{octet:02X}" for octet in found[0].encode()), text
    )
