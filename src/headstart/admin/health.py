"""`/healthz`: some process turns its event loop. `/readyz`: some process takes requests.

For load balancers and orchestrators: the first makes them restart the server, the second send it
requests or none. Trouble with the store is told, and is not a reason to send none: pages are
served, and learning goes on in memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from headstart.admin.routes import Request, Response, text
from headstart.admin.workers import Workers

if TYPE_CHECKING:
    from headstart.admin.sources import Sources


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
    answers = await workers.ask("health")
    if not answers:
        return text("starting\n")
    if any(answer.value is not None for answer in answers):
        return text("ok\n")
    return text("no process answers\n", 503)


async def readyz(request: Request, workers: Workers) -> Response:
    """Return 503 unless a process has started and does not drain."""
    said = [answer.value for answer in await workers.ask("health") if answer.value is not None]
    if any(value["started"] and not value["draining"] for value in said):
        well = all(value["store"] for value in said)
        return text("ready\n" if well else _STORE)
    if any(value["draining"] for value in said):
        return text("draining\n", 503)
    return text("starting\n", 503)
