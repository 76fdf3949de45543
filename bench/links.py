"""One upload and one download over a long link: whether a server's windows hold it up.

The link is a `relay` with a round trip of 100 ms that carries 100 Mbit/s. The client is h2load,
whose own windows are open. One row has a link without a limit, so that only windows hold an upload
up. A server that gives 64 KiB of window a round trip would take a minute
and a half, so a run ends after ten seconds, and the bytes that were carried by then count. Called
by `rounds`.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from bench.relay import DelayingRelay
from bench.sample import LoadFailed, Sample
from bench.scenarios import Scenario
from bench.servers import RunningServer

CAPACITY: Final = 100_000_000 / 8
"""Bytes a second."""
DELAY: Final = 0.05
"""Seconds from one side to the other."""
_MOST: Final = 10.0
_SUCCEEDED: Final = b"1 succeeded"


def by_share(sample: Sample) -> float:
    """The part of the link that was used."""
    return sample.rate / CAPACITY


def run_link(scenario: Scenario, server: RunningServer, seconds: float) -> Sample:
    """Send 50 MB one way, or as much as goes in ten seconds.

    Args:
        seconds: Of no meaning; the link says how long it takes.

    Raises:
        LoadFailed: h2load failed, or carried nothing.
    """
    del seconds
    return asyncio.run(_run(scenario, server))


async def _run(scenario: Scenario, server: RunningServer) -> Sample:
    clock = asyncio.get_running_loop().time
    body = ["-d", str(server.file_of(scenario.long))] if scenario.upload else []
    capacity = CAPACITY if scenario.limited else None
    scheme = "https" if scenario.tls else "http"
    async with DelayingRelay(server.port, DELAY, capacity=capacity) as relay:
        url = f"{scheme}://127.0.0.1:{relay.port}{scenario.path}"
        begun = clock()
        process = await asyncio.create_subprocess_exec(
            *("h2load", "-n", "1", "-c", "1", "-m", "1", "--no-tls-proto=h2c", *body, url),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said = b""
        try:
            async with asyncio.timeout(_MOST):
                said, _ = await process.communicate()
        except TimeoutError:
            process.kill()
            await process.wait()
        finally:
            with suppress(ProcessLookupError):
                process.kill()
        took = clock() - begun
        # The frames and header sections of 50 MB are a thousandth of it.
        carried = min(relay.carried[0 if scenario.upload else 1], scenario.size)
    if not carried or (said and _SUCCEEDED not in said):
        lines = said.decode(errors="replace").strip().splitlines() or ["(nothing)"]
        raise LoadFailed(f"h2load said: {lines[-1]}")
    return Sample(carried / took, 1, 0, carried)
