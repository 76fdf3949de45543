"""nghttpd: pushes, trailers, an echo of uploads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.ports import free_port
from tests.servers import running
from tests.servers.running import Server
from tests.servers.site import PAGE, SCRIPT, STYLE

STREAMS = 8
"""MAX_CONCURRENT_STREAMS."""


@contextmanager
def nghttpd() -> Iterator[Server]:
    """Two processes, one with TLS and one without, that run until the block ends.

    A request with content is answered with that content, and a file with the trailer `checksum`.
    """
    with running.folder() as place:
        clear, tls = (free_port() for _ in range(2))
        options = [
            "--address=127.0.0.1",
            f"--htdocs={place.root}",
            f"--push={PAGE}={STYLE},{SCRIPT}",
            "--echo-upload",
            f"--max-concurrent-streams={STREAMS}",
            "--trailer=checksum: 1a2b",
        ]
        with_tls = [*options, str(tls), str(place.keyfile), str(place.certfile)]
        without = [*options, "--no-tls", str(clear)]
        with (
            running.process(place, "nghttpd", with_tls, [tls]),
            running.process(place, "nghttpd", without, [clear]),
        ):
            yield place.server(clear, tls)
