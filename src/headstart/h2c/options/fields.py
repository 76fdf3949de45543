"""Headers of all requests: `set` and `unset`, and the syntax of a header.

Called by the package, and by `requests` for the headers of one request.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from headstart.errors import ConfigurationError, LocalProtocolError
from headstart.h2c.options.grammar import Grammar, Options, octets
from headstart.wire.fields import checked_fields, valid_authority


@dataclass(frozen=True, slots=True)
class SetField:
    """Add a field to every request; without one, list those that are set."""

    field: tuple[bytes, bytes] | None


@dataclass(frozen=True, slots=True)
class UnsetField:
    """Take fields out again; without a value, all of that name."""

    name: str
    value: str | None


def declare(grammar: Grammar) -> None:
    """Declare the commands of this module."""
    fields = grammar.command(
        "set",
        _set,
        "send a header with every request from now on",
        """
h2c set user-agent mine/1.0
h2c set accept ''              with an empty value
h2c set                        list what is set
""",
    )
    fields.argument("name", metavar="NAME", nargs="?")
    fields.argument("value", metavar="VALUE", nargs="?")
    unset = grammar.command(
        "unset",
        lambda given: UnsetField(given.name, given.value),
        "remove such a header again",
        """
h2c unset user-agent           all of that name
h2c unset cookie a=1           only the one with this value
""",
    )
    unset.argument("name", metavar="NAME")
    unset.argument("value", metavar="VALUE", nargs="?")


def _set(given: argparse.Namespace) -> SetField:
    if given.name is None:
        return SetField(None)
    if given.value is None:
        raise ConfigurationError(f"{given.name!r} needs a value; write 'h2c set NAME VALUE'")
    return SetField(field_of(given.name, given.value))


def field_of(name: str, value: str) -> tuple[bytes, bytes]:
    """Return a header to send, without white space around the value (RFC 9110, 5.5).

    Raises:
        ConfigurationError: HTTP/2 has no such field.
    """
    field = octets(name).lower(), octets(value.strip(" \t"))
    if _sendable(field[0], b"") is None:
        raise ConfigurationError(
            f"{name!r} is not a valid header name; use letters, digits and '-'"
        )
    sent = _sendable(*field)
    if sent is None:
        raise ConfigurationError(
            f"{value!r} cannot be the value of {name}: no line feeds, no control characters"
        )
    if not sent:
        raise ConfigurationError(f"HTTP/2 has no field {name!r} (RFC 9113, 8.2.2)")
    if field[0] == b"te" and field[1].lower() != b"trailers":
        raise ConfigurationError("te can only be 'trailers' in HTTP/2 (RFC 9113, 8.2.2)")
    if field[0] == b"host" and field[1] and not valid_authority(field[1]):
        raise ConfigurationError(f"{value!r} is not a host; write HOST or HOST:PORT")
    return field


def header_option(options: Options) -> None:
    """`-H`."""
    options.value(
        "-H",
        "--header",
        action="append",
        default=[],
        metavar="FIELD",
        help="send this field, too, such as 'NAME: VALUE'; may be given several times",
    )


def header(text: str) -> tuple[bytes, bytes]:
    """Parse `-H 'NAME: VALUE'`.

    Raises:
        ConfigurationError: It is not a field, or HTTP/2 has no such field.
    """
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise ConfigurationError(f"{text!r} is not a header; write -H 'name: value'")
    return field_of(name.strip(), value)


def _sendable(name: bytes, value: bytes) -> list[tuple[bytes, bytes]] | None:
    """Return the header as sent, or None if HTTP forbids it."""
    try:
        return checked_fields([(name, value)], [])
    except LocalProtocolError:
        return None
