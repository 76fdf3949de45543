"""Content on its way, how far it is, and what is shown of a response."""

from __future__ import annotations

import asyncio
import re

import pytest

from headstart import __version__
from headstart.errors import LocalProtocolError
from headstart.h2c import exits
from headstart.h2c.daemon.conversation import Request
from headstart.h2c.daemon.session import Session
from headstart.h2c.daemon.transfer import LEAST, Progress
from headstart.wire.events import Fields
from tests.h2c.daemon.sending import linked, run
from tests.h2c.recorder import Recorder

MB = 1_000_000


class Clock:
    def __init__(self) -> None:
        self.now = 5.0

    def __call__(self) -> float:
        return self.now


async def shown(
    total: int | None, *moves: tuple[float, int], terminal: bool = True, width: int = 80
) -> list[str]:
    """The lines after moves, each some seconds after the one before."""
    recorder, clock = Recorder(), Clock()
    request = Request(__version__, "/", False, terminal, (), unicode=False, width=width)
    progress = Progress(recorder, request, "down", total, clock)
    for seconds, octets in moves:
        clock.now += seconds
        await progress.moved(octets)
    await progress.end()
    return recorder.shown


async def test_a_line_says_how_much_of_how_much_and_how_long_still() -> None:
    lines = await shown(10 * MB, (1.0, 2 * MB), (1.0, 3 * MB))

    assert lines == [
        "down  20 %  ####-----------------  2.00 MB of 10.0 MB, 2.00 MB/s, 4.00 s left",
        "down  50 %  ##########-----------  5.00 MB of 10.0 MB, 2.50 MB/s, 2.00 s left",
        "",
    ]


async def test_without_a_known_length_it_says_how_much_and_how_fast() -> None:
    assert await shown(None, (2.0, 3 * MB)) == ["down 3.00 MB, 1.50 MB/s", ""]


async def test_more_than_was_announced_is_no_more_than_all() -> None:
    (line, _) = await shown(2 * MB, (1.0, 3 * MB))

    assert line.startswith("down 100 % ")


@pytest.mark.parametrize("width", [1, 20, 40, 60, 79, 80, 200])
async def test_a_line_never_fills_the_terminal(width: int) -> None:
    (line, _) = await shown(10 * MB, (1.0, 2 * MB), width=width)

    assert len(line) < max(width, 20)


async def test_it_is_shown_ten_times_a_second_at_most() -> None:
    assert len(await shown(10 * MB, (0.2, 2 * MB), (0.05, MB), (0.04, MB), (0.02, MB))) == 3


@pytest.mark.parametrize(
    ("total", "moved", "terminal"),
    [(MB, MB, True), (None, MB, True), (10 * MB, MB, True), (10 * MB, 9 * MB, False)],
)
async def test_small_bodies_and_pipes_show_none(
    total: int | None, moved: int, terminal: bool
) -> None:
    assert await shown(total, (1.0, moved), terminal=terminal) == []


async def test_content_goes_both_ways_piece_by_piece(session: Session) -> None:
    recorder = Recorder(b"a\0", b"\xff")

    assert await run(session, recorder, "post", "--file", "source", "-o", "target", "/x") == 0
    assert recorder.opened == ["target", "source"]
    assert recorder.output == b"POST /x: a\0\xff"


async def test_fields_shown_on_a_terminal_have_nothing_that_it_obeys(session: Session) -> None:
    plain, shown = Recorder(), Recorder()

    await run(session, plain, "get", "-i", "/hints")
    await run(session, shown, "get", "-i", "/hints", to_terminal=True)

    assert shown.output == plain.output  # these are printable already
    assert plain.output.startswith(b"HTTP/2 103\nlink: </a.css>")


async def test_trailers_are_shown_behind_the_content_and_apart(session: Session) -> None:
    shown, plain = Recorder(), Recorder()

    await run(session, shown, "get", "-i", "/trailers", to_terminal=True)
    await run(session, plain, "get", "/trailers")

    assert shown.output == b"HTTP/2 200\n\nbody\n\nchecksum: 1a2b\n"
    assert plain.output == b"body"


async def test_progress_is_shown_of_large_bodies_in_both_directions(session: Session) -> None:
    class Slow(Recorder):
        async def read(self) -> bytes:
            await asyncio.sleep(0.11)  # more than the time between two lines
            return await super().read()

        async def out(self, data: bytes) -> None:
            await super().out(data)
            if len(self.output) > LEAST:
                await asyncio.sleep(0.11)

    up, down = Slow(*[bytes(500_000)] * 4), Slow(*[bytes(500_000)] * 4)

    await run(session, up, "post", "-o", "-", "--file", "source", "/echo", to_terminal=True)
    await run(session, down, "post", "--file", "source", "/echo")

    assert re.match(r"up  75 %  [━─]+  1\.50 MB of 2\.00 MB, ", up.shown[0])
    assert up.shown[-1] == ""
    assert not any(line.startswith("down") for line in up.shown)
    assert any(re.match(r"down \d\.\d+ MB, ", line) for line in down.shown)
    assert down.shown[-1] == ""


async def test_of_small_bodies_no_progress_is_shown(session: Session) -> None:
    recorder = Recorder(bytes(1000))

    await run(session, recorder, "post", "--file", "source", "/echo")

    assert recorder.shown == []


async def test_with_fail_a_bad_status_has_no_content(session: Session) -> None:
    recorder = Recorder()

    assert await run(session, recorder, "get", "--fail", "/status/500") == exits.REQUEST_FAILED
    assert recorder.output == b""
    assert recorder.messages == [exits.STATUS.format(500)]


async def test_with_fail_a_bad_status_has_its_fields_where_they_are_wanted(
    session: Session,
) -> None:
    recorder = Recorder()

    assert await run(session, recorder, "get", "--fail", "-i", "/status/500") == 1
    assert recorder.output == b"HTTP/2 500\ncontent-type: text/plain\n\n"
    assert recorder.messages == [exits.STATUS.format(500)]


async def sent(*pieces: bytes, size: int | None) -> tuple[Fields, bytes]:
    """The fields and the content of an upload from a file that said to be of this size."""

    class OfSize(Recorder):
        async def open_input(self, path: str) -> int | None:
            return size

    session, peer = await linked(window=1000)
    running = asyncio.ensure_future(run(session, OfSize(*pieces), "post", "--file", "f", "/x"))
    await peer.settle()
    await peer.answer(1)
    assert await running == exits.OK
    return peer.requests[0].headers, peer.body(1)


async def test_file_goes_with_its_length_and_no_more_of_it() -> None:
    fields, body = await sent(b"one", b"twothree", size=6)

    assert ((b"content-length", b"6") in fields, body) == (True, b"onetwo")


async def test_empty_file_and_post_without_content_say_that_there_is_none() -> None:
    fields, body = await sent(size=0)

    assert ((b"content-length", b"0") in fields, body) == (True, b"")


async def test_length_of_a_pipe_and_of_what_the_kernel_makes_up_is_not_said() -> None:
    for size in (None, 0):
        fields, body = await sent(b"one", b"two", size=size)

        assert (b"content-length" in dict(fields), body) == (False, b"onetwo")


async def test_length_that_the_user_says_is_sent(session: Session) -> None:
    arguments = ("post", "--file", "f", "-H", "content-length: 2", "/x")

    assert await run(session, Recorder(b"ab"), *arguments) == exits.OK


async def test_file_that_shrinks_is_told() -> None:
    class Shrunk(Recorder):
        async def open_input(self, path: str) -> int | None:
            return 10

    session, peer = await linked(window=1000)
    running = asyncio.ensure_future(run(session, Shrunk(b"short"), "post", "--file", "f", "/x"))
    await peer.settle()

    with pytest.raises(LocalProtocolError, match="5 bytes shorter; do not change"):
        await running
