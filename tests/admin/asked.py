"""A server with an admin port, in a process of its own, and requests to that port."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

from tests.server.live import PATIENCE, ServerProcess, serving, until

_ADMIN = re.compile(r"Admin port at http://(\S+)")


@dataclass(frozen=True)
class Reply:
    """A response of the admin port."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """Its content."""
        return self.body.decode()


def address_in(log: str) -> str:
    """Where the admin port listens, as the log says."""
    found = _ADMIN.search(log)
    assert found, log
    return found[1]


def ask(
    address: str,
    path: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: str | None = None,
) -> Reply:
    """Make one request on a connection of its own."""
    connection = HTTPConnection(address, timeout=PATIENCE)
    try:
        connection.request(method, path, body, dict(headers or {}))
        response = connection.getresponse()
        named = {name.lower(): value for name, value in response.getheaders()}
        return Reply(response.status, named, response.read())
    finally:
        connection.close()


def says(address: str, path: str, status: int, text: str) -> bool:
    """Whether the path is answered so now."""
    reply = ask(address, path)
    return (reply.status, reply.text) == (status, text)


@contextmanager
def administered(
    app: str, *arguments: str, folder: Path | None = None
) -> Iterator[tuple[ServerProcess, str]]:
    """Run `headstart serve app` with an admin port; gives the server and the port's address."""
    with serving(app, "--admin", "127.0.0.1:0", *arguments, folder=folder) as server:
        address = address_in(server.log)
        until(lambda: says(address, "/readyz", 200, "ready\n"), "readiness")
        yield server, address


@contextmanager
def proxying(upstream: str, *arguments: str, folder: Path) -> Iterator[tuple[ServerProcess, str]]:
    """Run `headstart proxy` with an admin port and what it keeps in `folder`."""
    server = ServerProcess(
        *("proxy", upstream, "--port", "0", "--admin", "127.0.0.1:0"),
        *("--store", str(folder / "store.sqlite3"), *arguments),
    )
    try:
        server.wait_until_started()
        address = address_in(server.log)
        until(lambda: says(address, "/readyz", 200, "ready\n"), "readiness")
        yield server, address
    finally:
        server.end()
