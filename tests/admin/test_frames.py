"""Messages between the processes."""

from __future__ import annotations

import asyncio

import pytest

from headstart.admin.frames import packed, receive


async def read(data: bytes) -> dict[str, object] | None:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    return await receive(reader)


async def test_message_is_read_as_it_was_packed() -> None:
    assert await read(packed({"id": 1, "answer": ["ü", None]})) == {"id": 1, "answer": ["ü", None]}


@pytest.mark.parametrize("left", [0, 3, 4, 10])
async def test_end_in_the_middle_is_the_end(left: int) -> None:
    assert await read(packed({"id": 1, "answer": 2})[:left]) is None


@pytest.mark.parametrize("data", [b"\0\0\0\2[]", b"\0\0\0\1{", b"\xff\xff\xff\xff"])
async def test_anything_else_is_an_error(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        await read(data)
