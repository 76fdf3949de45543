"""Measure how long requests take while Redis is in trouble: `python -m bench.trouble`.

A server learns and shares what it learns through a redis-server of its own. In each round it is
loaded once while Redis is well and once in each trouble, in an order that changes from round to
round. What counts is a phase's latency against that of the same round's phase in which Redis was
well, so that other work on the machine is in both. A second phase in which Redis is well shows the
noise. The exit status is 3 if a request failed.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import Any, Final, TypeAlias

from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from bench.servers import ROOT

_PAGES: Final = 200
_CLIENTS: Final = 4
_START_SECONDS: Final = 60.0
# The server tries Redis again every two seconds.
_RECOVERY_SECONDS = 3.0
_HEADERS: Final = ("accept: text/html", "user-agent: Mozilla/5.0 bench", "sec-fetch-dest: document")


class RedisProcess:
    """A redis-server on a Unix socket, empty at each start.

    Attributes:
        url: For `--store`.
        client: Tells it what to do.
    """

    def __init__(self, folder: Path) -> None:
        program = shutil.which("redis-server")
        if program is None:
            sys.exit("bench.trouble: redis-server is not installed; run make peers")
        socket = folder / "redis.sock"
        quiet = ("--port", "0", "--save", "", "--enable-debug-command", "yes")
        self._command = [program, *quiet, "--unixsocket", str(socket), "--dir", str(folder)]
        self.url = f"unix://{socket}"
        self.client: Any = Redis(unix_socket_path=str(socket))
        self.start()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        end = time.monotonic() + _START_SECONDS
        while not self._answers():
            if time.monotonic() > end:
                sys.exit("bench.trouble: redis-server does not answer")
            time.sleep(0.01)

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except RedisConnectionError:
            return False

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()


@contextmanager
def well(redis: RedisProcess) -> Iterator[None]:
    """Nothing is wrong."""
    yield


@contextmanager
def absent(redis: RedisProcess) -> Iterator[None]:
    """Kill it, and bring it back empty."""
    redis.kill()
    yield
    redis.start()


@contextmanager
def silent(redis: RedisProcess) -> Iterator[None]:
    """Let it take connections and bytes and answer nothing, as on a network that drops packets."""
    redis.signal(signal.SIGSTOP)
    yield
    redis.signal(signal.SIGCONT)


@contextmanager
def sleeping(redis: RedisProcess) -> Iterator[None]:
    """Let it sleep, wake for a moment, and sleep."""
    ended = threading.Event()

    def sleep() -> None:
        while not ended.wait(0.05):
            redis.client.execute_command("DEBUG", "SLEEP", "0.7")

    thread = threading.Thread(target=sleep)
    thread.start()
    yield
    ended.set()
    thread.join()


@contextmanager
def paused(redis: RedisProcess) -> Iterator[None]:
    """Let it hold all clients back."""
    redis.client.execute_command("CLIENT", "PAUSE", "600000", "WRITE")
    yield
    redis.client.execute_command("CLIENT", "UNPAUSE")


@contextmanager
def full(redis: RedisProcess) -> Iterator[None]:
    """Let it take nothing more."""
    redis.client.config_set("maxmemory-policy", "noeviction")
    redis.client.config_set("maxmemory", 1)
    yield
    redis.client.config_set("maxmemory", 0)


Phase: TypeAlias = Callable[[RedisProcess], AbstractContextManager[None]]

PHASES: Final[dict[str, Phase]] = {
    "well": well,
    "well, once more": well,
    "killed, comes back empty": absent,
    "answers nothing": silent,
    "DEBUG SLEEP": sleeping,
    "CLIENT PAUSE": paused,
    "maxmemory, noeviction": full,
}


class Server:
    """One running server.

    Args:
        store: The Redis that it learns through.
        folder: For its log and the load's.
    """

    def __init__(self, store: str, folder: Path) -> None:
        self._log, self._times = folder / "log", folder / "times"
        self._urls = folder / "urls"
        command = [sys.executable, "-m", "headstart", "serve", "bench.apps.pages_app:app"]
        options = ("--port", "0", "--no-access-log", "--store", store)
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*command, *options], cwd=ROOT, stdout=log, stderr=log, start_new_session=True
            )

    def wait(self) -> None:
        """Wait until it serves."""
        end = time.monotonic() + _START_SECONDS
        while not (found := re.search(r"running on (http://\S+)", self._log.read_text())):
            if self._process.poll() is not None or time.monotonic() > end:
                sys.exit(f"bench.trouble: the server does not start:\n{self._log.read_text()}")
            time.sleep(0.05)
        pages = [f"{found[1]}/page-{number}/" for number in range(_PAGES)]
        self._urls.write_text("".join(f"{page}\n{page}style.css\n" for page in pages))

    def load(self, seconds: int) -> tuple[float, float, int]:
        """Load it; return the median, the 99th percentile, in milliseconds, and the failures."""
        self._times.unlink(missing_ok=True)
        headers = [part for header in _HEADERS for part in ("-H", header)]
        command = ["h2load", f"-D{seconds}", f"-c{_CLIENTS}", "-m1", f"-i{self._urls}", *headers]
        subprocess.run(
            [*command, f"--log-file={self._times}"], stdout=subprocess.DEVNULL, check=True
        )
        rows = [line.split("\t") for line in self._times.read_text().splitlines()]
        took = [int(row[2]) / 1000 for row in rows]
        cuts = quantiles(took, n=100)
        # The status of requests that were under way at the end is -1.
        return cuts[49], cuts[98], sum(row[1] not in ("200", "-1") for row in rows)

    @property
    def resident(self) -> float:
        """Its resident memory, in MB."""
        pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    @property
    def notices(self) -> int:
        """How often it said that it goes on from memory."""
        return self._log.read_text().count("going on from memory")

    def stop(self) -> None:
        """End it, however it is."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def main() -> int:
    """Print the table; return 3 where a request failed."""
    parser = argparse.ArgumentParser(prog="python -m bench.trouble")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5, help="of each phase")
    given = parser.parse_args()
    rounds: list[dict[str, tuple[float, float, int]]] = []
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        redis = RedisProcess(Path(folder))
        server = Server(redis.url, Path(folder))
        try:
            server.wait()
            server.load(given.seconds)  # the first one warms up
            before = server.resident
            for _ in range(given.rounds):
                found = dict[str, tuple[float, float, int]]()
                for name in random.sample(sorted(PHASES), len(PHASES)):
                    with PHASES[name](redis):
                        found[name] = server.load(given.seconds)
                    time.sleep(_RECOVERY_SECONDS)
                rounds.append(found)
            print(f"the server went on from memory {server.notices} times")
            print(f"resident memory: {before:.0f} MB, {server.resident:.0f} MB at the end")
        finally:
            server.stop()
            redis.kill()
    print(f"{'':28}{'p50 ms':>10}{'p99 ms':>10}{'p50 ratio':>12}{'p99 ratio':>12}{'failed':>9}")
    for name in PHASES:
        p50, p99 = (median(each[name][place] for each in rounds) for place in (0, 1))
        of50, of99 = (
            median(each[name][place] / each["well"][place] for each in rounds) for place in (0, 1)
        )
        failed = sum(each[name][2] for each in rounds)
        print(f"{name:28}{p50:10.2f}{p99:10.2f}{of50:12.2f}{of99:12.2f}{failed:9}")
    return 3 if any(each[name][2] for each in rounds for name in PHASES) else 0


if __name__ == "__main__":
    sys.exit(main())
