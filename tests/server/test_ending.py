"""The end of an application's lifespan, on uvicorn's own and on a clock of the test's."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from uvicorn.lifespan.off import LifespanOff
from uvicorn.lifespan.on import LifespanOn

from headstart.server.ending import LifespanEnd
from headstart.server.run import Config
from tests.clock import timeless
from tests.server.live import serving, until


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
    try:
        yield lines
    finally:
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
