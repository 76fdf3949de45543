"""Real servers for the tests of the client: nghttpd, and bare sockets that say what they are told.

Each is a context manager that stops what it started.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme

from tests.peers import peer
from tests.ports import free_port


@dataclass(frozen=True)
class Certificates:
    """A CA for tests and a certificate of it for localhost, and no address."""

    cafile: Path
    certfile: Path
    keyfile: Path


def certificates(folder: Path) -> Certificates:
    authority = trustme.CA()
    leaf = authority.issue_cert("localhost")
    files = Certificates(folder / "ca.pem", folder / "leaf.pem", folder / "leaf-key.pem")
    authority.cert_pem.write_to_path(files.cafile)
    leaf.private_key_pem.write_to_path(files.keyfile)
    for blob in leaf.cert_chain_pems:
        blob.write_to_path(files.certfile, append=True)
    return files


@dataclass
class Nghttpd:
    """A running nghttpd that pushes /style.css with /page.html."""

    port: int
    cafile: Path
    big: bytes
    process: asyncio.subprocess.Process

    def kill(self) -> None:
        self.process.kill()


@asynccontextmanager
async def nghttpd(folder: Path, *, tls: bool = False) -> AsyncIterator[Nghttpd]:
    root = folder / "root"
    root.mkdir()
    big = bytes(range(256)) * 20_000
    for name, content in {"page.html": b"<html>", "style.css": b"css", "big": big}.items():
        (root / name).write_bytes(content)
    port = free_port()
    arguments = ["--address=127.0.0.1", f"--htdocs={root}", "--push=/page.html=/style.css"]
    files = certificates(folder)
    if tls:
        arguments += [str(port), str(files.keyfile), str(files.certfile)]
    else:
        arguments += ["--no-tls", str(port)]
    process = await asyncio.create_subprocess_exec(
        peer("nghttpd"),
        *arguments,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await _listens(port)
        yield Nghttpd(port, files.cafile, big, process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _listens(port: int) -> None:
    async with asyncio.timeout(90):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.01)
            else:
                writer.close()
                await writer.wait_closed()
                return


@asynccontextmanager
async def raw_server(
    answer: bytes | None, *, tls: Certificates | None = None
) -> AsyncIterator[int]:
    """A server that says `answer` to each connection and closes it; with None it says nothing."""
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        if answer is None:
            return
        if answer:
            await reader.read(1)
            writer.write(answer)
        writer.close()

    context = None
    if tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls.certfile, tls.keyfile)
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in writers:
            writer.close()
        await server.wait_closed()
