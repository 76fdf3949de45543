"""Parse a URL or a path on the command line into an origin and a target.

Pure functions; called by `client.connection`, `client.AsyncClient` and the `h2c` command.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import quote

from headstart.errors import ConfigurationError, LocalProtocolError
from headstart.hosts import ascii_host

_DEFAULT_PORTS = {"https": 443, "http": 80}
_MAX_PORT = 65535
_MAX_LABEL = 63
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
# RFC 3986, 3.2.2; the DNS allows no underscore, but containers have such names.
_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?\.?")
_ZONE = re.compile(r"[A-Za-z0-9._~-]+")
_AUTHORITY = re.compile(r"(?:\[(?P<literal>[^\]]*)\]|(?P<name>[^\[\]:]*))(?::(?P<port>[^:]*))?")
# RFC 3986, 3.3 and 3.4; "%" stays, since what is escaped already must not be escaped twice.
_SAFE_IN_TARGET = "/?:@!$&'()*+,;=-._~%[]|"


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port (RFC 6454).

    Attributes:
        scheme: `https`, or `http` for HTTP/2 over cleartext by prior knowledge.
        host: Lower case, ASCII; an IPv6 address without brackets, perhaps with its zone
            (`fe80::1%eth0`).
    """

    scheme: str
    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Origin:
        """Read `[https://]HOST[:PORT]`; `https` and the scheme's own port by default.

        Raises:
            ConfigurationError: It is nothing of the kind.
        """
        scheme, rest = _split_scheme(text)
        authority, _, path = rest.partition("/")
        if path or "?" in authority or "#" in authority:
            raise ConfigurationError(
                f"{text!r} is more than a host", hint="Give HOST[:PORT] without a path."
            )
        return _origin(scheme or "https", authority, text)

    @property
    def authority(self) -> bytes:
        """As in `:authority`: the scheme's own port is left out (RFC 9113, 8.3.1).

        So is the zone of an address, which means nothing to the other end (RFC 6874, 3).
        """
        return self._authority(self.host.partition("%")[0]).encode("ascii")

    def __str__(self) -> str:
        return f"{self.scheme}://{self._authority(self.host.replace('%', '%25'))}"

    def _authority(self, host: str) -> str:
        bracketed = f"[{host}]" if ":" in host else host
        is_default = self.port == _DEFAULT_PORTS[self.scheme]
        return bracketed if is_default else f"{bracketed}:{self.port}"


def split_url(text: str) -> tuple[Origin | None, str]:
    """Split a URL into its origin and its target; for a path, the origin is None.

    The fragment is dropped (RFC 9110, 4.2.5), a missing leading slash is added, and characters that
    are invalid in a target are percent-encoded. `*` stays, for OPTIONS.

    Raises:
        ConfigurationError: The scheme or the authority cannot be used.
    """
    if not _SCHEME.match(text):
        return None, text if text == "*" else _target(text)
    scheme, rest = _split_scheme(text)
    end = re.search(r"[/?#]|\Z", rest)
    cut = end.start() if end else len(rest)
    return _origin(scheme, rest[:cut], text), _target(rest[cut:])


def as_ascii(target: str) -> bytes:
    """Return a target as it is sent.

    Raises:
        LocalProtocolError: It has other characters.
    """
    try:
        return target.encode("ascii")
    except UnicodeEncodeError:
        raise LocalProtocolError(
            f"{target!r} contains non-ASCII characters", hint="Percent-encode it."
        ) from None


def _target(text: str) -> str:
    without_fragment = text.partition("#")[0]
    try:
        # Bytes of the command line that are not UTF-8 come as surrogates (PEP 383).
        target = quote(without_fragment, safe=_SAFE_IN_TARGET, errors="surrogateescape")
    except UnicodeEncodeError:
        raise ConfigurationError(
            f"{text!a} is not a valid path", hint="Percent-encode the bytes that are not text."
        ) from None
    return target if target.startswith("/") else "/" + target


def _split_scheme(text: str) -> tuple[str, str]:
    match = _SCHEME.match(text)
    if match is None:
        return "", text
    scheme = match.group(1).lower()
    if scheme not in _DEFAULT_PORTS:
        raise ConfigurationError(
            f"{scheme}:// is neither https:// nor http://",
            hint="Use https://, or http:// for HTTP/2 over cleartext.",
        )
    return scheme, text[match.end() :]


def _origin(scheme: str, authority: str, text: str) -> Origin:
    if "@" in authority:  # RFC 9110, 4.2.4; a password in it is not repeated
        raise ConfigurationError(
            "a URL with a user's name is not taken",
            hint="Leave out what is before the @, and send an authorization field.",
        )
    match = _AUTHORITY.fullmatch(authority)
    if match is None:
        raise _unusable(text)
    literal, name, port = match.group("literal", "name", "port")
    host = _literal(literal, text) if literal is not None else _name(name, text)
    return Origin(scheme, host, _port(port, text) or _DEFAULT_PORTS[scheme])


def _literal(literal: str, text: str) -> str:
    # RFC 6874, 2 writes the % before a zone as %25; curl and ssh take it as it is, too.
    address, percent, zone = literal.partition("%")
    zone = zone.removeprefix("25")
    try:
        compressed = ipaddress.IPv6Address(address).compressed
    except ValueError:
        raise _unusable(text) from None
    if percent and not _ZONE.fullmatch(zone):
        raise _unusable(text)
    return compressed + percent + zone


def _name(name: str, text: str) -> str:
    ascii_name = ascii_host(name)
    if not _HOST.fullmatch(ascii_name) or not all(map(_is_label, _labels(ascii_name))):
        raise _unusable(text)
    return ascii_name


def _labels(name: str) -> list[str]:
    return name.removesuffix(".").split(".")


def _is_label(label: str) -> bool:
    """RFC 1035, 2.3.4; the resolver would raise a UnicodeError for others."""
    return 0 < len(label) <= _MAX_LABEL


def _port(port: str | None, text: str) -> int:
    if not port:
        return 0
    if not (port.isascii() and port.isdigit() and 0 < int(port[:6]) <= _MAX_PORT):
        raise ConfigurationError(f"{text!r} has no usable port", hint="Ports are 1 to 65535.")
    return int(port)


def _unusable(text: str) -> ConfigurationError:
    return ConfigurationError(
        f"{text!a} is not a host that one can connect to",
        hint="Give HOST, HOST:PORT or a URL; an IPv6 address in brackets, as in [::1]:8443.",
    )
