"""Measure the cost of watching: `python -m bench.observing`.

One server without anything to watch by, and others with the admin port, with logs as JSON and with
traces, take turns in rounds: each serves so many requests of h2load with 10 connections of 100
streams, from an application of Starlette. What counts is the processor time of the server, against
that of its baseline in the same round, so that other work on the machine is in both. A scrape of
the metrics is measured by itself. The exit status is 3 where a figure is not as wanted.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final
from urllib.request import urlopen

from bench import processes
from bench.servers import ROOT

_REQUESTS: Final = 20_000
_ROUNDS: Final = 9
_SCRAPES: Final = 50
_START_SECONDS: Final = 60.0
_APP: Final = "bench.apps.starlette_app:app"
_SDK_APP: Final = "bench.apps.traced_app:app"


@dataclass(frozen=True, slots=True)
class Variant:
    """One server.

    Attributes:
        name: As the table shows it.
        options: Of `headstart serve`.
        against: The name of the server that it is compared with.
        wanted: The most that its processor time may be of that one's; None where nothing is wanted.
        app: The application.
        environment: More variables.
    """

    name: str
    options: tuple[str, ...] = ()
    against: str = ""
    wanted: float | None = None
    app: str = _APP
    environment: tuple[tuple[str, str], ...] = ()


_SILENT: Final = ("--no-access-log",)
VARIANTS: Final = (
    Variant("nothing", _SILENT),
    Variant("nothing, once more", _SILENT, "nothing"),
    Variant("admin port", (*_SILENT, "--admin", "127.0.0.1:0"), "nothing", 1.05),
    Variant("tracing, no SDK", (*_SILENT, "--tracing"), "nothing", 1.05),
    Variant(
        "tracing, SDK that samples nothing",
        (*_SILENT, "--tracing"),
        "nothing",
        None,
        _SDK_APP,
        (("OTEL_TRACES_SAMPLER", "always_off"),),
    ),
    Variant("tracing, SDK that samples all", (*_SILENT, "--tracing"), "nothing", None, _SDK_APP),
    Variant("access log as text"),
    Variant("access log as JSON", ("--log-format", "json"), "access log as text"),
)


class Server:
    """One running server.

    Args:
        variant: How it is started.
        folder: For its log and its store.
    """

    def __init__(self, variant: Variant, folder: Path) -> None:
        self.variant = variant
        self._log = folder / f"{VARIANTS.index(variant)}.log"
        store = folder / f"{VARIANTS.index(variant)}.sqlite3"
        command = [sys.executable, "-m", "headstart", "serve", variant.app, "--port", "0"]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*command, "--store", str(store), *variant.options],
                cwd=ROOT,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, **dict(variant.environment)},
            )

    def wait(self) -> None:
        """Wait until it serves."""
        end = time.monotonic() + _START_SECONDS
        while "running on http" not in self._log.read_text():
            if self._process.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"{self.variant.name} does not start:\n{self._log.read_text()}")
            time.sleep(0.05)

    def load(self) -> float:
        """Serve one round; return the seconds of processor time for it."""
        text = self._log.read_text(errors="replace")
        (port,) = re.findall(r"running on http://127\.0\.0\.1:(\d+)", text)
        before = processes.processor_seconds(self._process.pid)
        said = subprocess.run(
            ["h2load", f"-n{_REQUESTS}", "-c10", "-m100", f"http://127.0.0.1:{port}/"],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout
        if f"{_REQUESTS} succeeded" not in said:
            raise SystemExit(f"{self.variant.name} answered not all:\n{said}")
        return processes.processor_seconds(self._process.pid) - before

    def scrape(self) -> float | None:
        """Return the seconds of processor time for one scrape; None without an admin port."""
        found = re.search(r"Admin port at (http://[^\s\"]+)", self._log.read_text(errors="replace"))
        if found is None:
            return None
        before = processes.processor_seconds(self._process.pid)
        for _ in range(_SCRAPES):
            with urlopen(f"{found[1]}/metrics") as metrics:
                metrics.read()
        return (processes.processor_seconds(self._process.pid) - before) / _SCRAPES

    def stop(self) -> None:
        """End it, however it is."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


@contextmanager
def running(variants: Sequence[Variant], folder: Path) -> Iterator[list[Server]]:
    """Run all servers."""
    with ExitStack() as stack:
        servers = []
        for variant in variants:
            servers.append(server := Server(variant, folder))
            stack.callback(server.stop)
        for server in servers:
            server.wait()
        yield servers


def main() -> int:
    """Print the table; return 3 where a figure is not as wanted."""
    missed = False
    with tempfile.TemporaryDirectory() as folder, running(VARIANTS, Path(folder)) as servers:
        for server in servers:
            server.load()  # the first one warms up
        rounds = []
        for number in range(_ROUNDS):
            order = servers if number % 2 else servers[::-1]
            rounds.append({server.variant.name: server.load() for server in order})
        scrapes = [cost for server in servers if (cost := server.scrape()) is not None]
    for variant in VARIANTS:
        spent = [each[variant.name] for each in rounds]
        line = f"{variant.name:36} {1e6 * median(spent) / _REQUESTS:7.1f} us a request"
        if variant.against:
            ratios = [each[variant.name] / each[variant.against] for each in rounds]
            line += f"  x {median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})"
            if variant.wanted is not None and median(ratios) > variant.wanted:
                missed = True
                line += f"  missed: at most {variant.wanted}"
        print(line)
    print(f"one scrape of the metrics {1000 * median(scrapes):17.1f} ms")
    return 3 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
