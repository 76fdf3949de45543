"""The content of requests: bytes, files and iterables, as pieces of bytes."""

from __future__ import annotations

import asyncio
import gzip
import io
import os
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import cast

import pytest

from headstart.client.contents import PIECE, Content, length_of, pieces
from headstart.errors import LocalProtocolError
from tests.client.peer import Peer


async def all_of(content: Content) -> list[bytes]:
    assert content is not None
    return [piece async for piece in pieces(content)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "content"
    file.write_bytes(b"one\ntwo\n")
    return file


async def test_file_without_line_feeds_is_read_in_small_pieces(tmp_path: Path) -> None:
    path = tmp_path / "zeros"
    path.write_bytes(bytes(3 * PIECE + 5))

    with path.open("rb") as file:
        sizes = [len(piece) for piece in await all_of(file)]

    assert sizes == [PIECE, PIECE, PIECE, 5]


class Recorder(io.FileIO):
    """A file that notes which thread reads it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.threads: list[int] = []

    def read(self, size: int | None = -1, /) -> bytes:
        self.threads.append(threading.get_ident())
        return super().read(size) or b""


async def test_file_is_read_on_another_thread(path: Path) -> None:
    with Recorder(path) as file:
        assert await all_of(file) == [b"one\ntwo\n"]

    assert file.threads
    assert threading.get_ident() not in file.threads


async def test_file_is_sent_from_its_position_with_its_length(path: Path) -> None:
    peer = await Peer.connected()

    with path.open("rb") as file:
        file.readline()
        peer.request("POST", "/", content=file)
        while peer.body(1) != b"two\n":
            await asyncio.sleep(0.001)
            await peer.settle()

    assert dict(peer.requests[0].headers)[b"content-length"] == b"4"


async def test_file_that_grows_is_sent_up_to_the_length_that_was_announced(path: Path) -> None:
    with path.open("rb") as file, path.open("ab") as writer:
        sending = pieces(file)
        writer.write(b"more")
        first = await anext(sending)
        writer.flush()

        assert first == b"one\ntwo\n"
        assert [piece async for piece in sending] == []


async def test_file_that_shrinks_fails_with_an_explanation(tmp_path: Path) -> None:
    path = tmp_path / "big"
    path.write_bytes(bytes(PIECE + 10))

    with path.open("rb", buffering=0) as file:
        sending = pieces(file)
        await anext(sending)
        os.truncate(path, PIECE)

        with pytest.raises(LocalProtocolError, match="10 bytes shorter") as caught:
            await anext(sending)

    assert caught.value.hint


def test_length_is_known_of_bytes_and_of_files(path: Path) -> None:
    memory = io.BytesIO(b"12345")
    memory.read(2)
    with path.open("rb") as buffered, path.open("rb", buffering=0) as raw:
        buffered.read(1)

        assert [length_of(c) for c in (b"ab", bytearray(3), memoryview(b"1234"))] == [2, 3, 4]
        assert [length_of(c) for c in (memory, buffered, raw)] == [3, 7, 8]


def test_length_of_a_temporary_file_is_known() -> None:
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"12345")
        file.seek(1)

        assert length_of(file) == 4


def test_length_of_compressed_files_pipes_and_iterables_is_unknown(tmp_path: Path) -> None:
    path = tmp_path / "content.gz"
    path.write_bytes(gzip.compress(bytes(1000)))
    reading, writing = os.pipe()

    with gzip.open(path) as file, os.fdopen(reading, "rb") as pipe, os.fdopen(writing, "wb"):
        contents: list[Content] = [file, pipe, iter([b"part"]), None]
        assert [length_of(content) for content in contents] == [None] * 4


def test_empty_file_has_a_length_of_zero(tmp_path: Path) -> None:
    path = tmp_path / "empty"
    path.touch()

    with path.open("rb") as file:
        assert length_of(file) == 0


def test_length_of_a_file_that_the_kernel_makes_up_is_unknown() -> None:
    with open("/proc/self/stat", "rb") as file:
        assert length_of(file) is None


async def test_compressed_file_is_sent_as_what_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "content.gz"
    path.write_bytes(gzip.compress(b"plain"))

    with gzip.open(path) as file:
        assert await all_of(file) == [b"plain"]


async def test_bytes_in_memory_are_sent_like_a_file() -> None:
    assert await all_of(io.BytesIO(b"in memory")) == [b"in memory"]


class AsyncFile:
    """A file as anyio has them: its lines are an asynchronous iterable."""

    def __init__(self) -> None:
        self._file = io.BytesIO(b"1\n2\n")
        self.sizes: list[int] = []

    async def read(self, size: int) -> bytes:
        self.sizes.append(size)
        return self._file.read(size)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"a line"


class Wrapper:
    """A file whose `read` is a function that returns an awaitable."""

    def __init__(self) -> None:
        self._file = AsyncFile()

    def read(self, size: int) -> object:
        return self._file.read(size)


@pytest.mark.parametrize("kind", [AsyncFile, Wrapper])
async def test_asynchronous_file_is_read_in_pieces(kind: type[AsyncFile] | type[Wrapper]) -> None:
    assert await all_of(kind()) == [b"1\n2\n"]


async def test_file_in_text_mode_fails_with_an_explanation(path: Path) -> None:
    with path.open() as file, pytest.raises(LocalProtocolError, match="not bytes") as caught:
        await all_of(cast(Content, file))

    assert "binary mode" in caught.value.hint


async def test_generator_is_closed_when_nobody_reads_on() -> None:
    closed: list[str] = []

    async def later() -> AsyncIterator[bytes]:
        try:
            yield b"1"
            yield b"2"
        finally:
            closed.append("asynchronous")

    def now() -> Iterator[bytes]:
        try:
            yield b"1"
            yield b"2"
        finally:
            closed.append("plain")

    for content in (later(), now(), iter([b"1", b"2"])):
        sending = pieces(content)
        await anext(sending)
        await sending.aclose()

    assert closed == ["asynchronous", "plain"]


@pytest.mark.parametrize("content", [b"12", bytearray(b"12"), memoryview(b"12"), [b"1", b"2"]])
async def test_bytes_and_iterables_come_in_order(content: Content) -> None:
    assert b"".join(await all_of(content)) == b"12"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
async def test_request_without_content_says_so_where_servers_expect_content(method: str) -> None:
    peer = await Peer.connected()

    peer.request(method, "/")
    await peer.settle()

    assert dict(peer.requests[0].headers)[b"content-length"] == b"0"


async def test_get_has_no_content_length() -> None:
    peer = await Peer.connected()

    await peer.asked()

    assert b"content-length" not in dict(peer.requests[0].headers)
