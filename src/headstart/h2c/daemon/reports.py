"""Describe connections, pushes and streams in lines of text.

Reads the state of `headstart.client`; writes nothing. Called by `service`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

from headstart.client.connection import Http2ClientConnection
from headstart.client.pushes import Pushed
from headstart.client.response_stream import StreamInfo
from headstart.h2c.daemon.conversation import printable
from headstart.h2c.daemon.session import Link

# RFC 9113, 6.5.2; RFC 8441; RFC 9218.
_SETTINGS = {
    0x1: "HEADER_TABLE_SIZE",
    0x2: "ENABLE_PUSH",
    0x3: "MAX_CONCURRENT_STREAMS",
    0x4: "INITIAL_WINDOW_SIZE",
    0x5: "MAX_FRAME_SIZE",
    0x6: "MAX_HEADER_LIST_SIZE",
    0x8: "ENABLE_CONNECT_PROTOCOL",
    0x9: "NO_RFC7540_PRIORITIES",
}

Windows: TypeAlias = Callable[[int], tuple[int, int] | None]
"""Bytes that may still be sent and received on a stream, None for one that is gone."""

_PUSH_COLUMNS = ("STREAM", "PARENT", "STATUS", "SIZE", "AGE", "STATE", "TYPE", "AUTHORITY", "PATH")


def agreement(connection: Http2ClientConnection) -> str:
    """Return the negotiated parameters: address, ALPN, TLS version."""
    protocol = f"{connection.alpn}, {connection.tls_version}"
    if connection.origin.scheme == "http":
        way = "prior knowledge" if connection.upgrade is None else "HTTP/1.1 Upgrade"
        protocol = f"h2c by {way}, no TLS"
    where = address(connection.peername)
    return f"connected to {connection.origin} at {where}: {protocol}"


def settings(connection: Http2ClientConnection) -> Iterator[str]:
    """Return the server's SETTINGS, one per line; unknown ones by number."""
    for number, value in sorted(connection.server_settings.items()):
        yield f"{_SETTINGS.get(number, f'0x{number:x}')}: {value}"


def address(peername: Sequence[object]) -> str:
    """Address and port, an IPv6 address in brackets."""
    host, port = peername[:2]
    return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"


def connections(links: Iterable[tuple[Link, bool]]) -> Iterator[str]:
    """One line a connection; the current one is marked."""
    for link, is_current in links:
        connection = link.connection
        mark = "*" if is_current else " "
        state = ""
        if connection.closed:
            state = f" (lost: {connection.closed_reason})"
        elif link.trust.insecure:
            state = " (not verified)"
        yield f"{mark} {connection.origin}{state}"


def streams(infos: Iterable[StreamInfo], windows: Windows | None = None) -> Iterator[str]:
    """Return one line per stream: `ID: METHOD PATH STATE`.

    Args:
        windows: Returns the bytes that may still be sent and received on a stream; stream 0 is the
            connection, shown in the first line. None leaves windows out.
    """
    if windows is not None:
        yield f"0: the connection{_may(windows(0))}"
    for info in infos:
        pushed = " (cached push promise)" if info.pushed else ""
        line = f"{info.id}: {info.method} {_text(info.target)} {info.state}{pushed}"
        yield line if windows is None else f"{line}{_more(info, windows)}"


def _more(info: StreamInfo, windows: Windows) -> str:
    parent = f", promised on {info.parent}" if info.parent else ""
    status = f", status {info.status}" if info.status else ""
    may = "" if info.state == "closed" else _may(windows(info.id))
    return f"{parent}{status}, received {info.received}{may}"


def _may(windows: tuple[int, int] | None) -> str:
    return "" if windows is None else f", may send {windows[0]}, may receive {windows[1]}"


def push_paths(pushes: Iterable[Pushed]) -> Iterator[str]:
    """One path a line."""
    return (_text(pushed.target) for pushed in pushes)


def push_table(pushes: Iterable[Pushed], now: float) -> Iterator[str]:
    """One push a line under a heading, in columns; nothing where there is none."""
    rows = [_PUSH_COLUMNS, *(_push_row(pushed, now) for pushed in pushes)]
    if len(rows) == 1:
        return
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()


def refused(reasons: Mapping[str, int]) -> Iterator[str]:
    """How many promises were refused, and why; nothing where none was.

    Args:
        reasons: Each with its number.
    """
    if reasons:
        told = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
        yield f"refused: {told}"


def _push_row(pushed: Pushed, now: float) -> tuple[str, ...]:
    return (
        str(pushed.stream_id),
        str(pushed.parent_id),
        str(pushed.status or "-"),
        str(pushed.size),
        f"{now - pushed.promised_at:.1f} s",
        pushed.state,
        printable(pushed.content_type) or "-",
        _text(pushed.authority),
        _text(pushed.target),
    )


def push_json(pushes: Iterable[Pushed], now: float) -> str:
    """Return a JSON array with an object per push; ages in seconds, sizes in bytes."""
    return json.dumps(
        [
            {
                "stream": pushed.stream_id,
                "parent": pushed.parent_id,
                "method": pushed.method,
                "scheme": _text(pushed.scheme),
                "authority": _text(pushed.authority),
                "path": _text(pushed.target),
                "status": pushed.status,
                "type": pushed.content_type or None,
                "size": pushed.size,
                "age": round(now - pushed.promised_at, 3),
                "state": pushed.state,
            }
            for pushed in pushes
        ],
        indent=2,
    )


def _text(octets: bytes | str) -> str:
    return octets if isinstance(octets, str) else octets.decode("ascii", "backslashreplace")
