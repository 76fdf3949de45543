"""The bytes of all connections, shown as frames."""

from __future__ import annotations

import pytest

from headstart.h2c import options, tap
from headstart.h2c.options import Start
from headstart.h2c.tap import Dump
from headstart.wire.frames import Direction

PING = bytes.fromhex("000008060000000000") + b"12345678"


def dump(*arguments: str) -> Dump:
    command = options.parse(["start", "--dump", *arguments])
    assert isinstance(command, Start)
    return Dump(command)


def test_frames_are_written_to_standard_output(capfd: pytest.CaptureFixture[str]) -> None:
    dump().tap()(Direction.RECEIVED, PING, 0.5)

    assert capfd.readouterr().out.startswith("<- PING(0) 0.500 s, 8 bytes\n")


def test_a_second_connection_has_a_name(capfd: pytest.CaptureFixture[str]) -> None:
    shown = dump()
    first, second = shown.tap(), shown.tap()

    second(Direction.RECEIVED, PING, 0.5)
    first(Direction.RECEIVED, PING, 0.5)

    titles = [line for line in capfd.readouterr().out.splitlines() if line.startswith("<-")]
    assert titles == ["<- PING(0) connection 2, 0.500 s, 8 bytes", "<- PING(0) 0.500 s, 8 bytes"]


def test_frames_that_are_excluded_are_not_written(capfd: pytest.CaptureFixture[str]) -> None:
    dump("--exclude", "PING").tap()(Direction.RECEIVED, PING, 0.5)

    assert capfd.readouterr().out == ""


@pytest.mark.parametrize(
    ("terminal", "no_color", "colored"), [(True, "", True), (True, "1", False), (False, "", False)]
)
def test_colour_is_for_terminals_whose_user_wants_it(
    terminal: bool,
    no_color: str,
    colored: bool,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tap, "is_terminal", lambda descriptor: terminal)
    monkeypatch.setenv("NO_COLOR", no_color)

    dump().tap()(Direction.RECEIVED, PING, 0.5)

    assert ("\x1b[" in capfd.readouterr().out) == colored


def test_once_nobody_reads_nothing_is_written_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[bytes] = []
    told: list[str] = []

    def unread(descriptor: int, data: bytes) -> None:
        written.append(data)
        raise BrokenPipeError

    monkeypatch.setattr(tap, "write_all", unread)
    shown = dump()
    shown.when_unread = lambda: told.append("unread")
    listener = shown.tap()

    listener(Direction.RECEIVED, PING, 0.5)
    listener(Direction.RECEIVED, PING, 0.5)

    assert len(written) == len(told) == 1
