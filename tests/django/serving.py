"""The Django site of `site`, served by Headstart and by gunicorn, and one request to it."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.server.live import PATIENCE, environment, until
from tests.server.raw import RawClient, Response

NAVIGATION = [(b"sec-fetch-mode", b"navigate"), (b"sec-fetch-dest", b"document")]
_LISTENING = re.compile(r"Listening at: http://127\.0\.0\.1:(\d+)")


@contextmanager
def gunicorn(app: str, **variables: str) -> Iterator[int]:
    """Run gunicorn with one worker; yield its port."""
    process = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", app, "--bind", "127.0.0.1:0", "--no-control-socket"],
        env={**environment(), **variables},
        stderr=subprocess.PIPE,
        text=True,
    )
    lines: list[str] = []
    stderr = process.stderr
    assert stderr is not None
    reader = threading.Thread(target=lambda: lines.extend(iter(stderr.readline, "")), daemon=True)
    reader.start()
    try:
        until(lambda: _LISTENING.search("".join(lines)) or process.poll() is not None, "the start")
        found = _LISTENING.search("".join(lines))
        assert found, lines
        yield int(found[1])
    finally:
        process.terminate()
        process.wait(PATIENCE)
        reader.join(PATIENCE)
        stderr.close()


def over_http2(port: int, path: str, *headers: tuple[bytes, bytes]) -> Response:
    """Ask once over HTTP/2, as a browser that navigates; `headers` come on top."""
    with RawClient(port) as client:
        return client.get(path.encode(), headers=[*NAVIGATION, *headers])


def over_http1(port: int, path: str, *, navigates: bool = True) -> bytes:
    """Ask once over HTTP/1.1; return all that the server sends."""
    fields = "".join(f"{name.decode()}: {value.decode()}\r\n" for name, value in NAVIGATION)
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
        client.settimeout(PATIENCE)
        request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        client.sendall((request + fields * navigates + "\r\n").encode())
        return b"".join(iter(lambda: client.recv(65536), b""))


def links(fields: object) -> list[bytes]:
    """Return the values of the Link headers, in a 103 or in a response."""
    assert isinstance(fields, list)
    return [value for name, value in fields if name == b"link"]
