"""The header of the PROXY protocol, in which a load balancer that passes TCP on names the client.

Pure: bytes in, addresses out (haproxy's proxy-protocol.txt, versions 1 and 2). The package
proxy-protocol reads it too, but raises struct.error and UnicodeDecodeError on hostile bytes, takes
`+80` and `1_0` for ports, and has no bound. Called by `protocol`.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from struct import Struct
from typing import Final, TypeAlias

# The document's own bound for version 1, line end included.
_MAX_LINE: Final = 107
_LINE: Final = b"PROXY "
_SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"
# Behind the signature: version and command, family and protocol, length of the rest.
_FIXED: Final = Struct("!BBH")
_FIXED_END: Final = len(_SIGNATURE) + _FIXED.size
# Addresses take 36 bytes; what a load balancer adds (TLS, the name of an endpoint) a few hundred.
_MAX_REST: Final = 2048
_VERSION_2: Final = 0x2
_LOCAL, _PROXY = 0x0, 0x1
# Family and protocol, both with a STREAM -> addresses and ports.
_LAYOUTS: Final = {0x11: Struct("!4s4sHH"), 0x21: Struct("!16s16sHH")}
_MAX_PORT: Final = 65535

Address: TypeAlias = tuple[str, int]


class MalformedHeader(Exception):
    """The bytes are not, and cannot become, a header."""


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """The content of a header.

    Attributes:
        source: The client's address and port; None where the load balancer names none, as in its
            own health checks.
        destination: The address that the client connected to.
        size: The header's length in bytes.
    """

    source: Address | None
    destination: Address | None
    size: int


def read_header(data: bytes) -> ProxyHeader | None:
    """Read the header at the start of a connection; None while it is not complete.

    Raises:
        MalformedHeader: It is not one, or is too long.
    """
    if data.startswith(_SIGNATURE):
        return _read_binary(data)
    if data.startswith(_LINE):
        return _read_line(data)
    if _SIGNATURE.startswith(data) or _LINE.startswith(data):
        return None
    raise MalformedHeader("no header of the PROXY protocol")


def _read_line(data: bytes) -> ProxyHeader | None:
    end = data.find(b"\r\n", 0, _MAX_LINE)
    if end < 0:
        if len(data) >= _MAX_LINE:
            raise MalformedHeader("a line that is too long")
        return None
    words = data[len(_LINE) : end].split(b" ")
    size = end + 2
    if words[0] == b"UNKNOWN":
        return ProxyHeader(None, None, size)
    if words[0] not in (b"TCP4", b"TCP6") or len(words) != 5:
        raise MalformedHeader("a line of another form")
    version = 4 if words[0] == b"TCP4" else 6
    _, source, destination, source_port, destination_port = words
    return ProxyHeader(
        (_host(source, version), _port(source_port)),
        (_host(destination, version), _port(destination_port)),
        size,
    )


def _host(text: bytes, version: int) -> str:
    try:
        address = ipaddress.ip_address(text.decode("ascii"))
    except ValueError as error:  # UnicodeDecodeError is one
        raise MalformedHeader("an address that is none") from error
    if address.version != version or b"%" in text:
        raise MalformedHeader("an address of another family")
    return str(address)


def _port(text: bytes) -> int:
    if not text.isdigit() or len(text) > 5:
        raise MalformedHeader("a port that is not a number")
    return _checked_port(int(text))


def _checked_port(port: int) -> int:
    # No client has port 0, and elsewhere it says that X-Forwarded-For is the source of an address.
    if not 0 < port <= _MAX_PORT:
        raise MalformedHeader("a port that does not exist")
    return port


def _read_binary(data: bytes) -> ProxyHeader | None:
    if len(data) < _FIXED_END:
        return None
    version_command, kind, length = _FIXED.unpack_from(data, len(_SIGNATURE))
    version, command = version_command >> 4, version_command & 0x0F
    if version != _VERSION_2 or command not in (_LOCAL, _PROXY):
        raise MalformedHeader("another version, or a command that nobody knows")
    if length > _MAX_REST:
        raise MalformedHeader("a header that is too long")
    size = _FIXED_END + length
    if len(data) < size:
        return None
    layout = _LAYOUTS.get(kind)
    if command == _LOCAL or layout is None:
        return ProxyHeader(None, None, size)
    if length < layout.size:
        raise MalformedHeader("a header without room for its addresses")
    source, destination, source_port, destination_port = layout.unpack_from(data, _FIXED_END)
    return ProxyHeader(
        (str(ipaddress.ip_address(source)), _checked_port(source_port)),
        (str(ipaddress.ip_address(destination)), _checked_port(destination_port)),
        size,
    )
