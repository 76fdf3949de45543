"""The requests of one connection that reach the application, and the calls they become.

The engine of HTTP/2 counts streams, but not the calls that reset streams left behind: a call whose
client has left goes on until it ends or is cancelled. So no new call begins on such a connection
while too many of those go on, or while memory is short. Owned by `http2_streams.Http2Streams` and
`http1.Http1Connection`; changes its own notes and uvicorn's set of tasks.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.flow_control import service_unavailable
from uvicorn.server import ServerState

from headstart.reasons import Closing
from headstart.server.cycle import Application, Cycle
from headstart.server.cycle_state import COMPLETE
from headstart.server.worker import EAGER, Worker

logger = logging.getLogger("headstart.server")

# uvicorn's own 503; its type is of uvicorn's narrower messages.
_UNAVAILABLE = cast(Application, service_unavailable)


def _without_proxy_headers(application: Application) -> Application:
    """Return the application inside uvicorn's middleware, which does nothing without an X-Forwarded
    header.
    """
    if isinstance(application, ProxyHeadersMiddleware):
        return cast(Application, application.app)
    return application


class Calls:
    """The calls of one connection.

    Args:
        config: Names the application.
        server_state: uvicorn's.
        worker: The process's.

    Attributes:
        left: Calls that go on though their client left before they had answered.
        max_left: No call begins while so many of them go on.
        plain: The application for a request without such fields as `application` asks about; None
            if that has to be asked each time, with --limit-concurrency.
    """

    __slots__ = (
        "_abandoned",
        "_application",
        "_begin",
        "_config",
        "_connections",
        "_is_limited",
        "_most_left",
        "_resets_context",
        "_tasks",
        "_unproxied",
        "left",
        "max_left",
        "plain",
    )

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        worker: Worker,
    ) -> None:
        self._config = config
        self._is_limited = config.limit_concurrency is not None
        self._application: Application = config.loaded_app
        self._unproxied = _without_proxy_headers(self._application)
        self.plain = None if self._is_limited else self._unproxied
        self._begin = worker.begin_call
        self._resets_context = config.reset_contextvars
        self._connections: set[Any] = server_state.connections
        self._tasks: set[asyncio.Task[None]] = server_state.tasks
        self._abandoned = worker.abandoned
        self.left: set[object] = set()
        self._most_left = worker.most_left
        self.max_left = self._most_left

    def shed(self, active: bool) -> None:
        """Let no call begin, since memory is short; or let them begin again."""
        self.max_left = 0 if active else self._most_left

    @property
    def refusal(self) -> Closing:
        """Why no call begins, while `max_left` calls are `left`."""
        return Closing.MEMORY if self.max_left == 0 else Closing.TOO_MANY_CALLS

    def application(self, forwarded: bool) -> Application:
        """Return the application to call for a request.

        Args:
            forwarded: The request has fields that uvicorn's middleware may read.
        """
        if self._is_limited and self.are_too_many():
            return _UNAVAILABLE
        return self._application if forwarded else self._unproxied

    def application_for_push(self, forwarded: bool) -> Application:
        """Return the application to call for a promised request: --limit-concurrency has no say."""
        return self._application if forwarded else self._unproxied

    def are_too_many(self) -> bool:
        """Return whether --limit-concurrency is reached; the log says so."""
        limit = self._config.limit_concurrency
        if limit is None or max(len(self._connections), len(self._tasks)) < limit:
            return False
        logger.warning("Exceeded concurrency limit.")
        return True

    def start(self, cycle: Cycle, application: Application) -> bool:
        """Call the application; return whether the stream goes on.

        It does not if the call answered at once: all that is left of it is bytes to write.
        """
        call = cycle.run(application)
        if self._resets_context:
            task = self._begin(call, context=contextvars.Context())
        else:
            task = self._begin(call)
        if not task.done():
            cycle.task = task
            # uvicorn waits for these, or cancels them, when it stops. A call that has begun takes
            # itself out; a callback would be one more turn of the loop for each.
            self._tasks.add(task)
            if not EAGER:
                task.add_done_callback(self._tasks.discard)  # it may be cancelled before it begins
            return True
        return not (cycle.state is COMPLETE and cycle.request.end_stream)

    def disconnect(self, cycle: Cycle) -> None:
        """Tell the application that its client has disconnected; it should end.

        Work after a complete response, such as Starlette's background tasks, is not affected.
        """
        answered = cycle.answered
        cycle.disconnect()
        if cycle.task is not None and not (answered or cycle.task.done()):
            if cycle.request.stream_id % 2:
                self.left.add(cycle)
            self._abandoned.add(cycle.task, whole=cycle.read_whole)
