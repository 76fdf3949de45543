"""A client that asks for a page again and again, and tells how long each answer took.

In a process of its own, so that what the attacker of a test computes does not slow it down. Takes
`begin` and `end` on its standard input, and answers `begun`, and a list of seconds as JSON.
"""

from __future__ import annotations

import json
import select
import sys
import time

from headstart.wire.connection import ErrorCode
from tests.server.hostile import DATA, END_STREAM, Hostile, get

# Before the server ends a connection by itself.
_REQUESTS = 5000
# So that a median means something, though the attack was over at once.
_AT_LEAST = 30


def ask_until_told(port: int) -> list[float]:
    """Ask until there is something to read on the standard input."""
    times: list[float] = []
    while _goes_on(times):
        with Hostile(port) as client:
            for number in range(_REQUESTS):
                took = _ask(client, 2 * number + 1)
                if took is None:
                    break
                times.append(took)
                if not _goes_on(times):
                    break
    return times


def _goes_on(times: list[float]) -> bool:
    return len(times) < _AT_LEAST or not select.select([sys.stdin], [], [], 0)[0]


def _ask(client: Hostile, stream: int) -> float | None:
    """Seconds; None where the server has taken leave, since this process was slow to ask."""
    start = time.perf_counter()
    client.send(get(stream))
    while not client.frames(DATA, stream):
        if not client.read():
            assert client.goaways == [ErrorCode.NO_ERROR]
            return None
    assert client.frames(DATA, stream)[-1].flags & END_STREAM
    client.heard.clear()
    return time.perf_counter() - start


def main() -> None:
    """Until the input ends."""
    for _ in iter(sys.stdin.readline, ""):
        # `end` must not come before this was read: it would wait in the buffer, unseen by select.
        print("begun", flush=True)
        times = ask_until_told(int(sys.argv[1]))
        sys.stdin.readline()
        print(json.dumps(times), flush=True)


if __name__ == "__main__":
    main()
