"""The end of an application's lifespan, on uvicorn's own and on a clock of the test's; and of the
process, with real signals."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from uvicorn.lifespan.off import LifespanOff
from uvicorn.lifespan.on import LifespanOn

from headstart.server.ending import LifespanEnd, ProcessEnd, waited_for
from headstart.server.run import Config
from tests.clock import timeless
from tests.server.live import ServerProcess, serving, until


class Lifespan:
    """An application that takes a while to end.

    Args:
        seconds: How long.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.ended = self.cancelled = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        try:
            await asyncio.sleep(self.seconds)
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        self.ended = True
        await send({"type": "lifespan.shutdown.complete"})


@contextmanager
def logged() -> Iterator[list[str]]:
    """Yield the messages that are logged meanwhile."""
    lines: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    handler = Handler()
    logger = logging.getLogger("uvicorn.error")
    logger.addHandler(handler)
    level = logger.level
    logger.setLevel(logging.INFO)
    try:
        yield lines
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)


async def begun(
    app: Lifespan, timeout: float | None, is_forced: Callable[[], bool] = lambda: False
) -> LifespanEnd:
    """Return the lifespan of an application that has started."""
    inner = LifespanOn(Config(app, log_config=None))
    ending = LifespanEnd(inner, timeout, is_forced)
    await ending.startup()
    return ending


@timeless
async def test_application_that_ends_in_time_is_waited_for() -> None:
    for timeout in (None, 10.0, 0.0):
        app = Lifespan(59.0)
        ending = await begun(app, timeout)

        await ending.shutdown()

        assert app.ended


@timeless
async def test_application_that_hangs_is_given_up_and_said() -> None:
    loop = asyncio.get_running_loop()
    ending = await begun(Lifespan(1e9), 70.0)
    began = loop.time()

    with logged() as lines:
        await ending.shutdown()

    assert 70.0 <= loop.time() - began < 70.5
    assert [line for line in lines if "CTRL+C" in line] == [
        "Waiting for the end of the application's lifespan, 70 s at the most. "
        "(CTRL+C to force quit)"
    ]
    assert "has not ended within 70 s" in lines[-1]


@timeless
async def test_second_ctrl_c_ends_the_wait() -> None:
    forced = False
    ending = await begun(Lifespan(1e9), None, lambda: forced)
    waiting = asyncio.create_task(ending.shutdown())
    await asyncio.sleep(1000)
    assert not waiting.done()

    forced = True
    with logged() as lines:
        await waiting

    assert "Ctrl-C" in lines[-1]


@timeless
async def test_error_of_the_lifespan_is_uvicorns_and_nothing_is_waited_for() -> None:
    class Broken(LifespanOff):
        async def shutdown(self) -> None:
            raise RuntimeError("broken")

    inner = Broken(Config(Lifespan(0.0), log_config=None))
    ending = LifespanEnd(inner, None, lambda: False)

    with pytest.raises(RuntimeError, match="broken"):
        await ending.shutdown()


@timeless
async def test_server_without_a_lifespan_may_be_forced() -> None:
    class Hanging(LifespanOff):
        async def shutdown(self) -> None:
            await asyncio.sleep(1e9)

    ending = LifespanEnd(Hanging(Config(Lifespan(0.0), log_config=None)), 5.0, lambda: False)

    await ending.shutdown()


HANGING = """
import asyncio

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        print("hanging", flush=True)
        await asyncio.Event().wait()
"""


def test_process_whose_application_hangs_ends_with_the_second_ctrl_c(tmp_path: Path) -> None:
    (tmp_path / "hanging.py").write_text(HANGING)
    with serving("hanging:app", folder=tmp_path) as server:
        server.process.send_signal(signal.SIGINT)
        until(lambda: "hanging" in server.log, "the end of the lifespan")
        server.process.send_signal(signal.SIGINT)
        server.wait()

    assert "lifespan has not ended" in server.log
    assert "unsupported" not in server.log
    assert "Traceback" not in server.log


KEEPING = """
import asyncio, threading, time

def wait():
    print("waiting", flush=True)
    time.sleep(1e9)

async def ignore():
    while True:
        try:
            print("waiting", flush=True)
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            print("ignored", flush=True)

def keeping(startup, shutdown):
    async def app(scope, receive, send):
        assert scope["type"] == "lifespan"
        await receive()
        await startup()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await shutdown()
        await send({"type": "lifespan.shutdown.complete"})
    return app

async def nothing():
    pass

async def blocked():
    wait()

async def threaded():
    await asyncio.to_thread(wait)

async def left_behind():
    threading.Thread(target=wait, name="left").start()

ignoring = keeping(nothing, ignore)
blocking = keeping(nothing, blocked)
threads = keeping(nothing, threaded)
leaving = keeping(nothing, left_behind)
starting = keeping(ignore, nothing)
"""


@pytest.mark.parametrize(
    ("app", "named"),
    [
        ("ignoring", "tasks of the application"),
        ("blocking", "the application, which blocks the event loop ("),
        ("threads", "threads of the application: "),
        ("leaving", "threads of the application: left ("),
    ],
)
def test_second_ctrl_c_ends_the_process_whatever_the_application_does(
    tmp_path: Path, app: str, named: str
) -> None:
    (tmp_path / "keeping.py").write_text(KEEPING)
    with serving(f"keeping:{app}", "--no-learn", folder=tmp_path) as server:
        server.process.send_signal(signal.SIGINT)
        until(lambda: "waiting" in server.log, "the end of the lifespan")
        if app == "leaving":
            until(lambda: "Finished server process" in server.log, "the end of the server")
        server.process.send_signal(signal.SIGINT)
        status = server.wait()

    assert status == 1
    assert f"The process ends without waiting for {named}" in server.log
    assert "Traceback" not in server.log


def test_second_ctrl_c_ends_a_start_that_hangs(tmp_path: Path) -> None:
    (tmp_path / "keeping.py").write_text(KEEPING)
    server = ServerProcess("serve", "keeping:starting", "--port", "0", folder=tmp_path)
    try:
        until(lambda: "waiting" in server.log, "the start of the application")
        server.process.send_signal(signal.SIGINT)
        until(lambda: "CTRL+C" in server.log, "the line that says what is waited for")
        server.process.send_signal(signal.SIGINT)
        status = server.wait()
    finally:
        server.end()

    assert status == 1
    assert "Waiting for tasks of the application, 60 s at the most. (CTRL+C" in server.log


def test_second_ctrl_c_that_only_the_parent_got_ends_its_workers(tmp_path: Path) -> None:
    (tmp_path / "keeping.py").write_text(KEEPING)
    with serving("keeping:blocking", "--workers", "2", folder=tmp_path) as server:
        until(lambda: server.log.count("startup complete") == 2, "the workers")
        server.process.send_signal(signal.SIGINT)
        until(lambda: server.log.count("waiting") == 2, "the end of the lifespans")
        server.process.send_signal(signal.SIGINT)
        server.wait()

    assert server.log.count("The process ends without waiting for the application") == 2


def test_second_ctrl_c_that_only_the_parent_got_ends_the_process_of_reload(tmp_path: Path) -> None:
    (tmp_path / "keeping.py").write_text(KEEPING)
    with serving("keeping:blocking", "--reload", "--no-learn", folder=tmp_path) as server:
        until(lambda: "startup complete" in server.log, "the process")
        server.process.send_signal(signal.SIGINT)
        until(lambda: "waiting" in server.log, "the end of the lifespan")
        server.process.send_signal(signal.SIGINT)
        server.wait()

    assert "The process ends without waiting for the application" in server.log
    assert "Traceback" not in server.log


def test_process_that_does_not_end_within_its_limit_is_ended_and_says_what_kept_it() -> None:
    ended: list[int] = []
    over = threading.Event()

    def end(status: int) -> None:
        ended.append(status)
        over.set()

    process = ProcessEnd(end)
    go_on = threading.Event()
    thread = threading.Thread(target=go_on.wait, name="writer")
    thread.start()

    with logged() as lines:
        process.begin(None)
        until(lambda: lines, "the line that says what is waited for")
        process.begin(0.5)
        process.begin(1e9)
        assert over.wait(90.0)
    go_on.set()
    thread.join()

    assert ended == [1]
    assert "threads of the application: writer (" in lines[0]
    assert "threads of the application: writer (" in lines[-1]


def test_process_that_goes_on_is_watched_no_longer() -> None:
    ended: list[int] = []
    process = ProcessEnd(ended.append)
    handler = signal.getsignal(signal.SIGINT)

    process.is_last(0.3)
    process.stop()

    until(lambda: "end of the process" not in {each.name for each in threading.enumerate()})
    assert not ended
    assert signal.getsignal(signal.SIGINT) is handler


def test_process_ends_also_if_nobody_reads_its_log() -> None:
    """A handler that waits to write holds the log, so that nobody else can write to it."""
    ended = threading.Event()
    go_on = threading.Event()

    class Blocked(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            go_on.wait()

    logger = logging.getLogger("uvicorn.error")
    handler = Blocked()
    logger.addHandler(handler)
    thread = threading.Thread(target=logger.error, args=("blocked",))
    thread.start()
    try:
        process = ProcessEnd(lambda _status: ended.set())
        process.begin(0.1)
        assert ended.wait(60.0)
        process.stop()
    finally:
        go_on.set()
        thread.join()
        logger.removeHandler(handler)


def test_thread_in_code_without_a_module_is_named() -> None:
    over: list[bool] = []
    code = "while not over: pass"
    thread = threading.Thread(target=exec, args=(code, {"over": over}), name="nameless")
    thread.start()
    try:
        assert "nameless (" in waited_for()
    finally:
        over.append(True)
        thread.join()


STREAMING = """
import asyncio

async def app(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    while True:
        await send({"type": "http.response.body", "body": b"event", "more_body": True})
        await asyncio.sleep(0.1)
"""


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_second_ctrl_c_does_not_wait_for_a_client_that_stays(tmp_path: Path, loop: str) -> None:
    (tmp_path / "streaming.py").write_text(STREAMING)
    with (
        serving("streaming:app", "--no-learn", "--loop", loop, folder=tmp_path) as server,
        socket.create_connection(("127.0.0.1", server.port)) as client,
    ):
        client.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        assert client.recv(1)
        server.process.send_signal(signal.SIGINT)
        until(lambda: "Waiting for connections" in server.log, "the end to begin")
        server.process.send_signal(signal.SIGINT)
        status = server.wait()

    assert status == 0
    assert "ends without waiting" not in server.log
    assert "Traceback" not in server.log
