"""What the command answers without the background process."""

from __future__ import annotations

import pytest

from headstart import __version__
from headstart.h2c import exits
from headstart.h2c.command import launch, local
from headstart.h2c.daemon import process
from headstart.h2c.options.process import Start
from headstart.h2c.sockets import Place
from headstart.h2c.streams import Failed
from tests.h2c.room import Room


def test_help_is_on_standard_output(capfd: pytest.CaptureFixture[str]) -> None:
    assert local.answer("default", ["--help"]) == exits.OK

    captured = capfd.readouterr()
    assert captured.out.startswith("usage: h2c")
    assert captured.err == ""


def test_a_mistake_is_one_line_on_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    assert local.answer("default", []) == exits.USAGE

    assert capfd.readouterr() == ("", "h2c: which command? 'h2c --help' lists them\n")


def test_the_version_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    assert local.answer("default", ["version"]) == exits.OK

    assert capfd.readouterr().out == f"h2c {__version__}\n"


def test_help_is_a_command_too(capfd: pytest.CaptureFixture[str]) -> None:
    assert local.answer("default", ["help", "get"]) == exits.OK

    assert capfd.readouterr().out.startswith("usage: h2c get")


def test_everything_else_takes_the_background_process() -> None:
    assert local.answer("default", ["post", "--data", "--help", "/"]) is None


def test_arguments_are_checked_before_anything_is_started() -> None:
    local.check(["get", "/"])
    with pytest.raises(Failed, match="there is no command 'x'") as caught:
        local.check(["x"])
    assert caught.value.code == exits.USAGE


def test_start_becomes_the_process_or_starts_one(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(room.runtime))
    done: list[object] = []

    def run(place: Place, command: Start) -> int:
        done.append((place.session, command.dump is not None))
        return exits.OK

    monkeypatch.setattr(process, "run", run)
    monkeypatch.setattr(launch, "detached", lambda place, arguments: done.append(arguments))

    assert local.answer("one", ["start", "--dump"]) == exits.OK
    assert local.answer("one", ["start", "--detach", "--dump=x"]) == exits.OK
    assert done == [("one", True), ["--detach", "--dump=x"]]
