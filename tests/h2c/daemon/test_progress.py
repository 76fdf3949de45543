"""How far a body is."""

from __future__ import annotations

import pytest

from headstart import __version__
from headstart.h2c.daemon.conversation import Request
from headstart.h2c.daemon.progress import Progress
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
