"""The background process's life. What takes a process of its own is in command/test_init.py."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from headstart import __version__
from headstart.h2c import exits, ipc, options
from headstart.h2c.command.conversation import Conversation, request
from headstart.h2c.daemon import process
from headstart.h2c.daemon.process import BusyError, Daemon, claim
from headstart.h2c.daemon.session import Session
from headstart.h2c.ipc import Place, PlaceError, reach
from headstart.h2c.options.process import Start
from tests.clock import SkippingLoop
from tests.h2c.room import PATIENCE


def start_command() -> Start:
    command = options.parse(["start"])
    assert isinstance(command, Start)
    return command


IDLE = 100.0
"""Seconds of which none are waited for."""


async def serve(
    place: Place,
    *,
    idle_timeout: float | None = None,
    uid_of: Callable[[socket.socket], int] = lambda connection: os.getuid(),
    during: Callable[[], None] = lambda: None,
) -> None:
    """Serve until stopped; `during` runs in a thread once the socket answers."""
    running = Daemon(place, Session(), idle_timeout, uid_of)
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    serving = asyncio.ensure_future(running.serve(claim(place), ready.set))
    await ready.wait()
    await loop.run_in_executor(None, during)
    async with asyncio.timeout(90):
        await serving


def serve_until_idle(
    place: Place,
    during: Callable[[Callable[[float], None]], None],
    uid_of: Callable[[socket.socket], int] = lambda connection: os.getuid(),
) -> None:
    """Serve with a time for idleness, on a loop on which `during` can skip so much time."""

    async def whole() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SkippingLoop)

        def skip(seconds: float) -> None:
            asyncio.run_coroutine_threadsafe(loop.skip(seconds, 10), loop).result(PATIENCE)

        await serve(place, idle_timeout=IDLE, uid_of=uid_of, during=partial(during, skip))

    with asyncio.Runner(loop_factory=SkippingLoop) as runner:
        runner.run(whole())


def ask(place: Place, *arguments: str) -> int:
    connection = reach(place)
    assert connection is not None
    typed = request(__version__, list(arguments))
    return Conversation(connection, place).run(typed)


async def test_stop_is_answered_when_the_socket_is_gone(place: Place) -> None:
    def stop() -> None:
        assert ask(place, "stop") == exits.OK
        assert not Path(place.socket).exists()
        claim(place).release()

    await serve(place, during=stop)


def test_a_process_of_another_user_is_refused(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    def intrude(skip: Callable[[float], None]) -> None:
        connection = reach(place)
        assert connection is not None
        assert connection.recv(ipc.HEADER_SIZE) == b""
        connection.close()
        skip(2 * IDLE)

    serve_until_idle(place, intrude, uid_of=lambda connection: 4711)

    assert "a process of user 4711 was refused" in caplog.text


async def test_it_ends_when_idle(place: Place) -> None:
    await serve(place, idle_timeout=0.05)

    assert not Path(place.socket).exists()


def test_a_command_keeps_it_from_being_idle(place: Place) -> None:
    def linger(skip: Callable[[float], None]) -> None:
        connection = reach(place)
        assert connection is not None
        skip(5 * IDLE)
        connection.setblocking(False)
        with pytest.raises(BlockingIOError):
            connection.recv(1)
        connection.close()
        skip(2 * IDLE)

    serve_until_idle(place, linger)


def test_a_second_one_in_the_foreground_is_refused(
    place: Place, capfd: pytest.CaptureFixture[str]
) -> None:
    claimed = claim(place)

    assert process.run(place, start_command()) == exits.REQUEST_FAILED
    assert f"running already (pid {os.getpid()})" in capfd.readouterr().err
    claimed.release()


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, partial(os.symlink, "elsewhere")])
def test_a_log_that_is_no_file_is_told_in_the_foreground(
    place: Place, make: Callable[[str], None]
) -> None:
    make(place.log)

    with pytest.raises(PlaceError, match=f"its log cannot be written .* remove {place.log}"):
        process.run(place, start_command())

    claim(place).release()


def started(place: Place, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[int, str]:
    """Exit code of the program, and what it tells who started it."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(Path(place.folder).parent))
    receiver, sender = os.pipe()
    code = process.main([place.session, str(sender), *arguments])
    with open(receiver) as said:
        return code, said.read()


def test_a_second_program_says_that_there_is_a_first(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    claimed = claim(place)

    assert started(place, monkeypatch) == (exits.OK, f"busy {os.getpid()}")
    claimed.release()


def test_a_program_serves_until_it_is_idle(
    place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)

    assert started(place, monkeypatch, "--detach", "--idle-timeout", "0.05") == (exits.OK, "ready")
    assert Path.cwd() == Path("/")
    assert Path(place.log).read_text() == ""


def test_a_program_that_cannot_start_says_why(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(place.folder).chmod(0o755)

    code, said = started(place, monkeypatch)

    assert code == exits.NOT_CONNECTED
    assert said.endswith(f"chmod 700 {place.folder}")


def test_the_socket_is_for_this_user_alone(place: Place) -> None:
    claimed = claim(place)

    assert Path(place.socket).stat().st_mode & 0o777 == 0o600
    assert Path(place.lock).stat().st_mode & 0o777 == 0o600
    claimed.release()


def test_a_second_process_is_told_who_the_first_one_is(place: Place) -> None:
    claimed = claim(place)

    with pytest.raises(BusyError, match=f"pid {os.getpid()}"):
        claim(place)
    claimed.release()


def test_a_stale_socket_is_replaced(place: Place) -> None:
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(place.socket)

    claimed = claim(place)

    connection = reach(place)
    assert connection is not None
    connection.close()
    claimed.release()


@pytest.mark.parametrize("file", ["lock", "socket"])
def test_a_folder_that_cannot_be_written_is_told(place: Place, file: str) -> None:
    obstacle = Path(getattr(place, file))
    obstacle.mkdir()

    with pytest.raises(PlaceError, match=r"cannot be written: .*; make room there, or set XDG_"):
        claim(place)

    obstacle.rmdir()
    claim(place).release()


def test_released_places_are_free_and_have_no_socket(place: Place) -> None:
    first = claim(place)
    first.release()
    first.release()

    assert not Path(place.socket).exists()
    second = claim(place)
    second.release()


def test_the_file_mode_mask_is_as_before(place: Place) -> None:
    before = os.umask(0o022)
    try:
        claim(place).release()
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(before)


def test_socket_of_whoever_came_after_the_folder_was_removed_stays(place: Place) -> None:
    first = claim(place)
    os.unlink(place.lock)
    second = claim(place)

    first.release()

    assert os.path.exists(place.socket)
    os.unlink(place.lock)
    second.release()
    os.unlink(place.socket)
