"""`/healthz`: some process turns its event loop. `/readyz`: some process takes requests.

For load balancers and orchestrators: the first makes them restart the server, the second send it
requests or none. Trouble with the store is told, and is not a reason to send none: pages are
served, and learning goes on in memory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from headstart.admin.routes import Request, Response, text
from headstart.admin.workers import PATIENCE, Answer, Workers

if TYPE_CHECKING:
    from headstart.admin.sources import Sources

# Seconds. Kubernetes waits for one by default, and a process that hangs is not the others' fault.
_SOON: Final = 0.4
_STORE: Final = "ready\nThe store cannot be used. Learning goes on in memory.\n"


def health(sources: Sources) -> dict[str, Any]:
    """Answer the question `health` in a process that serves."""
    return {
        "started": sources.server.started,
        "draining": sources.worker.draining,
        "store": sources.middleware is None or sources.middleware.keeper.store.available,
    }


async def healthz(request: Request, workers: Workers) -> Response:
    """Return 503 if there are processes and none answers."""
    answers = await _asked(workers, lambda value: True)
    if not answers:
        return text("starting\n")
    if any(answer.value is not None for answer in answers):
        return text("ok\n")
    return text("no process answers\n", 503)


async def readyz(request: Request, workers: Workers) -> Response:
    """Return 503 unless a process has started and does not drain."""
    answers = await _asked(workers, _takes_requests)
    said = [answer.value for answer in answers if answer.value is not None]
    if any(map(_takes_requests, said)):
        well = all(value["store"] for value in said)
        return text("ready\n" if well else _STORE)
    if any(value["draining"] for value in said):
        return text("draining\n", 503)
    return text("starting\n", 503)


def _takes_requests(value: dict[str, Any]) -> bool:
    ready: bool = value["started"] and not value["draining"]
    return ready


async def _asked(workers: Workers, is_well: Callable[[dict[str, Any]], bool]) -> list[Answer]:
    """Ask all processes, and wait for those that hang only if none of the others is well."""
    answers = await workers.ask("health", seconds=_SOON)
    if not answers or any(one.value is not None and is_well(one.value) for one in answers):
        return answers
    return await workers.ask("health", seconds=PATIENCE)
