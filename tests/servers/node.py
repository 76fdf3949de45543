"""Node's http2: pushes by the application, 103 Early Hints, trailers, GOAWAY at a word."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.ports import free_port
from tests.servers import running
from tests.servers.running import Server

STREAMS = 8
"""MAX_CONCURRENT_STREAMS."""


@contextmanager
def node() -> Iterator[Server]:
    """A Node server that runs until the block ends; what its paths answer is in `server.mjs`."""
    with running.folder() as place:
        clear, tls = (free_port() for _ in range(2))
        script = place.path / "server.mjs"
        shutil.copy(Path(__file__).with_name("server.mjs"), script)
        arguments = [
            *(str(script), str(place.root), str(clear), str(tls)),
            *(str(place.keyfile), str(place.certfile), str(STREAMS)),
        ]
        with running.process(place, "node", arguments, [clear, tls]):
            yield place.server(clear, tls)
