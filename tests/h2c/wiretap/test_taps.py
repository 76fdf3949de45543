"""The wiretap's sockets for clients, and each client's way to the server."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import re
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from headstart import devca
from headstart.client.connect import connect
from headstart.client.origin import Origin
from headstart.h2c import options, streams
from headstart.h2c.dump.tap import Dump
from headstart.h2c.options.process import Wiretap
from headstart.h2c.streams import Failed
from headstart.h2c.wiretap.taps import Taps, listen
from headstart.h2c.wiretap.tls import Tls
from headstart.wire.frames import PREFACE, Direction
from tests.h2c.on_terminal import on_terminal
from tests.h2c.push_server import PushServer, push_server
from tests.h2c.room import Room
from tests.ports import closed_port, free_port


def addresses(host: str) -> list[tuple[str, int]]:
    with ExitStack() as stack:
        listeners = [stack.enter_context(one) for one in listen(Origin("http", host, 0))]
        return [one.getsockname()[:2] for one in listeners]


def test_localhost_is_both_loopback_addresses_on_one_port() -> None:
    found = addresses("localhost")

    assert {address for address, _ in found} == {"127.0.0.1", "::1"}
    assert len(found) == 2
    assert len({port for _, port in found}) == 1


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_an_address_is_that_one_only(address: str) -> None:
    assert [found for found, _ in addresses(address)] == [address]


def test_a_port_that_is_taken_is_said_and_nothing_is_listened_on() -> None:
    port = free_port()
    with socket.create_server(("::1", port), family=socket.AF_INET6):
        with pytest.raises(Failed, match=rf"cannot listen on http://localhost:{port}: Address"):
            listen(Origin("http", "localhost", port))

        socket.create_server(("127.0.0.1", port)).close()


def test_another_port_is_chosen_where_the_first_one_is_taken_on_one_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[int] = []

    def refuse_once(family: int, address: tuple[object, ...]) -> socket.socket:
        asked.append(family)
        if len(asked) == 2:
            raise OSError(errno.EADDRINUSE, "Address already in use")
        made: socket.socket = listener(family, address)
        return made

    module = sys.modules["headstart.h2c.wiretap.taps"]
    listener = module._listener
    monkeypatch.setattr(module, "_listener", refuse_once)

    assert len(addresses("localhost")) == 2
    assert len(asked) == 4


def test_a_host_that_is_not_here_is_said() -> None:
    with pytest.raises(Failed, match=r"cannot listen on http://no-such-host\.invalid:7000: "):
        listen(Origin("http", "no-such-host.invalid", 7000))


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the user is told."""
    lines: list[str] = []
    monkeypatch.setattr(streams, "say", lines.append)
    return lines


@pytest.fixture
def server() -> Iterator[PushServer]:
    with push_server() as running:
        yield running


@pytest.fixture
def tls_server() -> Iterator[PushServer]:
    made = devca.ensure()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.certfile, made.keyfile)
    context.set_alpn_protocols(["h2"])
    with push_server(context) as running:
        yield running


class Tapped:
    """Attributes: `taps`; `port` of the clients' side; `frames` shown so far."""

    def __init__(self, taps: Taps, port: int, file: Path) -> None:
        self.taps = taps
        self.port = port
        self._file = file

    @property
    def frames(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._file.read_text().splitlines()]


@asynccontextmanager
async def tapping(folder: Path, local: str, remote: str) -> AsyncIterator[Tapped]:
    """A wiretap that runs until the block ends."""
    file = folder / "frames.jsonl"
    command = options.parse(["wiretap", f"--dump={file}", "--dump-format=json", local, remote])
    assert isinstance(command, Wiretap)
    listeners = listen(command.local)
    taps = Taps(command, Tls(command), Dump(command.dump, named=True))
    serving = asyncio.ensure_future(taps.serve(listeners))
    try:
        async with asyncio.timeout(90):
            yield Tapped(taps, listeners[0].getsockname()[1], file)
    finally:
        taps.stop()
        await serving


@pytest.mark.parametrize("far", ["http", "https"])
@pytest.mark.parametrize("near", ["http", "https"])
async def test_tls_and_cleartext_go_together_in_any_way(
    near: str, far: str, server: PushServer, tls_server: PushServer, tmp_path: Path, said: list[str]
) -> None:
    remote = server if far == "http" else tls_server
    async with tapping(tmp_path, f"{near}://localhost:0", remote.origin) as tapped:
        connection = await connect(Origin(near, "localhost", tapped.port))
        alpn = connection.alpn
        await connection.aclose()

    assert alpn == ("h2" if near == "https" else None)
    assert {frame["connection"] for frame in tapped.frames} == {1}
    kinds = [(frame["direction"], frame["type"]) for frame in tapped.frames]
    assert kinds[0] == ("sent", "PREFACE")
    assert {("sent", "SETTINGS"), ("received", "SETTINGS"), ("sent", "GOAWAY")} <= set(kinds)
    assert said[1:] == []


async def test_each_connection_has_its_number(
    server: PushServer, tmp_path: Path, said: list[str]
) -> None:
    async with tapping(tmp_path, "http://localhost:0", server.origin) as tapped:
        origin = Origin("http", "localhost", tapped.port)
        made = await asyncio.gather(*(connect(origin) for _ in range(20)))
        await asyncio.gather(*(connection.aclose() for connection in made))

    assert {frame["connection"] for frame in tapped.frames} == set(range(1, 21))
    assert tapped.taps.connections == 20
    assert tapped.taps.counts[Direction.SENT] > 20 * len(PREFACE)
    assert said[1:] == []


async def test_a_server_that_is_not_there_is_said_for_each_client(
    tmp_path: Path, said: list[str]
) -> None:
    with closed_port() as port:
        async with tapping(tmp_path, "http://127.0.0.1:0", f"http://127.0.0.1:{port}") as tapped:
            reader, writer = await asyncio.open_connection("127.0.0.1", tapped.port)
            assert await reader.read() == b""
            writer.close()

    assert said[1:] == [
        f"connection 1: http://127.0.0.1:{port} refuses the connection; "
        "is the server running, and is the port right?"
    ]


async def test_a_server_whose_certificate_is_not_trusted_is_said(
    tls_server: PushServer, tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devca, "ca_certificate", lambda: None)
    async with tapping(tmp_path, "http://localhost:0", tls_server.origin) as tapped:
        reader, writer = await asyncio.open_connection("127.0.0.1", tapped.port)
        writer.write(PREFACE)
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()

    (line,) = said[1:]
    assert line.startswith(f"connection 1: the certificate of {tls_server.origin} is not trusted: ")


async def test_a_client_that_does_not_trust_the_wiretap_is_said_what_to_trust(
    tls_server: PushServer, tmp_path: Path, said: list[str]
) -> None:
    async with tapping(tmp_path, "localhost:0", tls_server.origin) as tapped:
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.open_connection(
                "localhost", tapped.port, ssl=ssl.create_default_context()
            )
        while len(said) < 2:
            await asyncio.sleep(0.01)

    why = "(tlsv1 alert unknown ca|the client closed the connection)"
    must = f"it must trust {devca.ca_certificate()}"
    assert re.fullmatch(f"connection 1: TLS with the client failed: {why}; {must}", said[1])


async def test_a_client_without_tls_is_said_so(
    tls_server: PushServer, tmp_path: Path, said: list[str]
) -> None:
    async with tapping(tmp_path, "localhost:0", tls_server.origin) as tapped:
        reader, writer = await asyncio.open_connection("127.0.0.1", tapped.port)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        writer.write_eof()
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()
        while len(said) < 2:
            await asyncio.sleep(0.01)

    assert said[1] == (
        "connection 1: the client does not speak TLS; "
        f"if that is meant, listen on http://localhost:{tapped.port}"
    )


@pytest.mark.parametrize("near", ["http", "https"])
async def test_a_client_that_goes_without_a_word_is_no_news(
    near: str, tls_server: PushServer, tmp_path: Path, said: list[str]
) -> None:
    async with tapping(tmp_path, f"{near}://localhost:0", tls_server.origin) as tapped:
        _, writer = await asyncio.open_connection("127.0.0.1", tapped.port)
        writer.close()
        while not tapped.taps.connections:
            await asyncio.sleep(0.01)

    assert said[1:] == []


async def test_a_client_that_cannot_be_accepted_does_not_keep_out_the_next(
    server: PushServer, tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    accept, problems = loop.sock_accept, [OSError(errno.EMFILE, "Too many open files")] * 2

    async def sometimes(listener: socket.socket) -> tuple[socket.socket, Any]:
        if problems:
            raise problems.pop()
        return await accept(listener)

    monkeypatch.setattr(loop, "sock_accept", sometimes)
    async with tapping(tmp_path, "http://127.0.0.1:0", server.origin) as tapped:
        connection = await connect(Origin("http", "127.0.0.1", tapped.port))
        await connection.aclose()

    assert tapped.taps.connections == 1
    assert len([line for line in said if "Too many open files" in line]) == 1


def test_last_words_begin_behind_the_ctrl_c_of_a_terminal(room: Room) -> None:
    arguments = ("wiretap", "http://127.0.0.1:0", "http://127.0.0.1:1")
    with on_terminal(room, *arguments) as shown:
        shown.until("Ctrl-C ends it\r\n")
        shown.press("\x03")
        assert shown.end() == 0

    assert "^C\r\nh2c: connections: 0" in shown.seen


async def test_at_the_end_open_connections_are_closed(
    server: PushServer, tmp_path: Path, said: list[str]
) -> None:
    async with tapping(tmp_path, "http://localhost:0", server.origin) as tapped:
        reader, writer = await asyncio.open_connection("127.0.0.1", tapped.port)
        writer.write(PREFACE + bytes.fromhex("000000040000000000"))
        assert await reader.read(9)
        tapped.taps.stop()
        await reader.read()
        writer.close()

    assert said[1:] == []
