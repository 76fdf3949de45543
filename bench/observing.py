"""Measure the cost of watching: `python -m bench.observing [--instructions]`.

One server without anything to watch by, and others with the admin port, with logs as JSON and with
traces, take turns in rounds: each serves so many requests of h2load with 10 connections of 100
streams, from an application of Starlette. What counts is the processor time of the server, against
that of its baseline in the same round, so that other work on the machine is in both. A scrape of
the metrics is measured by itself, and so is a span that the SDK makes without us. The exit status
is 3 where a figure is not as wanted.

`--instructions` counts instructions under valgrind instead: other work on the machine changes
nothing in them, and a count takes a hundred times as long.
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
from typing import Any, Final
from urllib.request import urlopen

from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import SpanKind

from bench import processes
from bench.servers import ROOT

_REQUESTS: Final = 20_000
_COUNTED: Final = 2_000
_ROUNDS: Final = 9
_SCRAPES: Final = 50
_SPANS: Final = 20_000
_START_SECONDS: Final = 300.0
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


# Of the span that a request of this load has.
_REQUEST: Final[dict[str, Any]] = {
    "http.request.method": "GET",
    "url.scheme": "http",
    "url.path": "/",
    "network.protocol.version": "2",
    "server.address": "127.0.0.1",
    "server.port": 8000,
    "user_agent.original": "h2load",
    "client.address": "127.0.0.1",
}
_RESPONSE: Final[dict[str, Any]] = {"http.response.status_code": 200, "http.response.body.size": 13}
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
    Variant(
        "tracing, SDK that samples 1 %",
        (*_SILENT, "--tracing"),
        "nothing",
        None,
        _SDK_APP,
        (
            ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.01"),
        ),
    ),
    Variant("tracing, SDK that samples all", (*_SILENT, "--tracing"), "nothing", None, _SDK_APP),
    Variant("access log as text"),
    Variant("access log as JSON", ("--log-format", "json"), "access log as text", 1.05),
)


class Server:
    """One running server.

    Args:
        variant: How it is started.
        folder: For its log and its store.
        counted: It runs under valgrind.
    """

    def __init__(self, variant: Variant, folder: Path, *, counted: bool = False) -> None:
        self.variant = variant
        self._counts = folder / f"{VARIANTS.index(variant)}.callgrind"
        self._log = folder / f"{VARIANTS.index(variant)}.log"
        store = folder / f"{VARIANTS.index(variant)}.sqlite3"
        command = [sys.executable, "-m", "headstart", "serve", variant.app, "--port", "0"]
        if counted:
            tool = ("--tool=callgrind", f"--callgrind-out-file={self._counts}")
            command = ["valgrind", *tool, *command]
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
        before = processes.processor_seconds(self._process.pid)
        self._serve(_REQUESTS)
        return processes.processor_seconds(self._process.pid) - before

    def count(self) -> float:
        """Return the instructions of a request, once all code has been run."""
        self._serve(_COUNTED)
        self._control("--zero")
        self._serve(_COUNTED)
        self._control("--dump")
        (dump,) = self._counts.parent.glob(f"{self._counts.name}.*")
        (total,) = re.findall(r"^totals: (\d+)$", dump.read_text(errors="replace"), re.MULTILINE)
        return int(total) / _COUNTED

    def _control(self, order: str) -> None:
        command = ["callgrind_control", order, str(self._process.pid)]
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)

    def _serve(self, requests: int) -> None:
        text = self._log.read_text(errors="replace")
        (port,) = re.findall(r"running on http://127\.0\.0\.1:(\d+)", text)
        said = subprocess.run(
            ["h2load", f"-n{requests}", "-c10", "-m100", f"http://127.0.0.1:{port}/"],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout
        if f"{requests} succeeded" not in said:
            raise SystemExit(f"{self.variant.name} answered not all:\n{said}")

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


def bare_span() -> float:
    """Return the seconds of processor time in which the SDK makes a span like ours by itself."""
    tracer = TracerProvider(sampler=ALWAYS_ON, shutdown_on_exit=False).get_tracer("bench")
    before = time.process_time()
    for _ in range(_SPANS):
        span = tracer.start_span(
            "GET", context=Context(), kind=SpanKind.SERVER, attributes=dict(_REQUEST)
        )
        span.set_attributes(dict(_RESPONSE))
        span.end()
    return (time.process_time() - before) / _SPANS


def count() -> int:
    """Print a table of instructions; return 3 where a figure is not as wanted."""
    missed, found = False, dict[str, float]()
    for variant in VARIANTS:
        with tempfile.TemporaryDirectory() as folder:
            server = Server(variant, Path(folder), counted=True)
            try:
                server.wait()
                found[variant.name] = server.count()
            finally:
                server.stop()
        line = f"{variant.name:36} {found[variant.name]:9,.0f} instructions a request"
        if variant.against:
            ratio = found[variant.name] / found[variant.against]
            line += f"  x {ratio:.3f}"
            if variant.wanted is not None and ratio > variant.wanted:
                missed = True
                line += f"  missed: at most {variant.wanted}"
        print(line, flush=True)
    return 3 if missed else 0


def main() -> int:
    """Print the table; return 3 where a figure is not as wanted."""
    if "--instructions" in sys.argv[1:]:
        return count()
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
    print(f"a span by the SDK alone {1e6 * bare_span():19.1f} us")
    return 3 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
