"""The load that a fleet puts on its Redis: memory, commands and bytes a second.

    python -m bench.fleet [--pages 1000] [--assets 20] [--instances 3] [--views 50] [--seconds 60]

Starts a redis-server of its own on a Unix socket, and the learners and stores of so many instances,
each with its own thread, which exchange as the middleware lets them. First each page is viewed, so
that the map is full. Then Redis is measured while nobody comes, and while each instance has so many
views a second of pages at random, of new clients that ask for all assets.
"""

from __future__ import annotations

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from headstart.learn import Answer, Learner, LearnOptions, Request
from headstart.middleware.keeper import _SYNC_SECONDS
from headstart.store import open_store
from headstart.store.packing import pack

ORIGIN = "https://site.example"
_HTML = Answer(200, "text/html; charset=utf-8")
_STYLE = Answer(200, "text/css", cache_control="public, max-age=3600", size=1000)
# Views that are counted at once while the map is filled.
_FILLING = 25


class Instance:
    """One learner with its store, as in a worker of its own."""

    def __init__(self, number: int, url: str, pages: int, assets: int) -> None:
        self._random = random.Random(number)
        self._number, self._pages, self._assets = number, pages, assets
        self._learner = Learner(LearnOptions(control_share=0))
        self._store = open_store(url, lambda line: print(line, file=sys.stderr))
        self._learner.absorb(self._store.load())
        self._views = 0
        self.rate = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        """Begin to exchange."""
        self._thread.start()

    def end(self) -> None:
        """Exchange no more."""
        self._ended.set()
        self._thread.join()
        self._store.close()

    def fill(self, pages: list[int]) -> None:
        """View these pages, and publish the views."""
        for place in range(0, len(pages), _FILLING):
            for page in pages[place : place + _FILLING]:
                self._view(page)
            self._exchange()

    def knows(self) -> int:
        """Return how many pages it would send assets with."""
        pages = (f"/page-{page}/" for page in range(self._pages))
        return sum(len(self._learner.candidates(ORIGIN, page)) >= self._assets for page in pages)

    def snapshot_size(self) -> int:
        """Return the bytes that the map takes in a snapshot."""
        return len(pack(self._learner.export()))

    def _run(self) -> None:
        due = 0.0
        while not self._ended.wait(_SYNC_SECONDS):
            due += self.rate * _SYNC_SECONDS
            while due >= 1.0:
                self._view(self._random.randrange(self._pages))
                due -= 1.0
            self._exchange()

    def _view(self, page: int) -> None:
        """Load a page with all its assets, as a client that was never here."""
        self._views += 1
        host = self._views
        address = f"10.{self._number}.{host >> 8 & 255}.{host & 255}"
        now, path = time.time(), f"/page-{page}/"
        request = Request(ORIGIN, path, address, destination="document", mode="navigate")
        view = self._learner.begin(request, now)
        self._learner.complete(request, _HTML, view, now)
        for asset in range(self._assets):
            target = f"{path}asset-{asset}.css"
            wanted = Request(ORIGIN, target, address, referer=ORIGIN + path, destination="style")
            self._learner.begin(wanted, now)
            self._learner.complete(wanted, _STYLE, None, now)

    def _exchange(self) -> None:
        outbox = self._learner.sync(time.time())
        image = list(self._learner.export()) if self._store.snapshot_due else None
        self._learner.absorb(self._store.exchange(outbox, image))


@contextmanager
def _redis() -> Iterator[tuple[str, Redis]]:
    program = shutil.which("redis-server")
    if program is None:
        sys.exit("bench.fleet: redis-server is not installed; run make peers")
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        socket = Path(folder) / "redis.sock"
        command = [program, "--port", "0", "--unixsocket", str(socket), "--save", ""]
        process = subprocess.Popen([*command, "--dir", folder], stdout=subprocess.DEVNULL)
        try:
            client = Redis(unix_socket_path=str(socket))
            _wait_for(client)
            yield f"unix://{socket}", client
        finally:
            process.kill()
            process.wait()


def _wait_for(client: Redis) -> None:
    for _ in range(500):
        try:
            client.ping()
            return
        except RedisConnectionError:
            time.sleep(0.01)
    sys.exit("bench.fleet: redis-server does not answer")


def _measure(client: Redis, name: str, seconds: float) -> None:
    """Print a line of the table; Redis is asked only before and after."""
    client.config_resetstat()
    began = time.monotonic()
    time.sleep(seconds)
    found, took = client.info(), time.monotonic() - began
    commands = found["total_commands_processed"] / took
    received, sent = found["total_net_input_bytes"], found["total_net_output_bytes"]
    print(
        f"{name:12}{commands:>14.1f}{received / took / 1000:>14.2f}{sent / took / 1000:>14.2f}"
        f"{found['used_memory_peak'] / 1e6:>14.2f}"
    )


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m bench.fleet", description=__doc__)
    for name, default in (("pages", 1000), ("assets", 20), ("instances", 3), ("seconds", 60)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--views", type=int, default=50, help="of each instance in a second")
    given = parser.parse_args()
    with _redis() as (url, client):
        empty = client.info("memory")["used_memory"]
        made = range(given.instances)
        instances = [Instance(number, url, given.pages, given.assets) for number in made]
        for number, instance in enumerate(instances):
            instance.fill(list(range(number, given.pages, given.instances)))
        for instance in instances:
            instance.start()
        time.sleep(5 * _SYNC_SECONDS)
        print(f"{'':12}{'commands/s':>14}{'kB/s to it':>14}{'kB/s from it':>14}{'MB':>14}")
        _measure(client, "at rest", given.seconds)
        for instance in instances:
            instance.rate = given.views
        _measure(client, "under load", given.seconds)
        for instance in instances:
            instance.end()
        known = ", ".join(str(instance.knows()) for instance in instances)
        print(f"pages whose assets each instance would send: {known}")
        print(f"MB of an empty redis-server: {empty / 1e6:.2f}")
        print(f"MB of a snapshot of the whole map: {instances[0].snapshot_size() / 1e6:.2f}")


if __name__ == "__main__":
    main()
