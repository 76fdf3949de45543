"""h2load: its command line, and what it prints. Called by `rounds`.

`parse` is pure; `run_h2load` starts one process and waits for it, never longer than it was told.
The server's processor time is read when h2load says that it begins and ends to measure.
"""

from __future__ import annotations

import re
import resource
import subprocess
import threading
import time
from dataclasses import replace

from bench.sample import LoadFailed, Sample
from bench.scenarios import Part, Scenario
from bench.servers import RunningServer

# Beyond the time that h2load measures: connecting, and a server that answers slowly.
_GRACE = 15.0
WARM_UP = 0.3
"""Seconds before it measures: connecting and handshakes are no answers."""
_BEGIN = "Main benchmark duration is started"
_END = "Main benchmark duration is over"
_FINISHED = re.compile(r"^finished in ([\d.]+)(us|ms|s|m|h), ([\d.]+) req/s", re.M)
_REQUESTS = re.compile(
    r"^requests: (\d+) total, (\d+) started, (\d+) done, (\d+) succeeded, (\d+) failed, "
    r"(\d+) errored, (\d+) timeout",
    re.M,
)
_STATUS = re.compile(r"^status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", re.M)
_DATA = re.compile(r"^traffic: .*\((\d+)\) data$", re.M)


def parse(output: str) -> Sample:
    """What h2load printed -> figures.

    Raises:
        LoadFailed: It is not what h2load prints at the end of a run.
    """
    finished, requests = _FINISHED.search(output), _REQUESTS.search(output)
    status, data = _STATUS.search(output), _DATA.search(output)
    if finished is None or requests is None or status is None or data is None:
        lines = output.strip().splitlines() or ["(nothing)"]
        raise LoadFailed(f"h2load said: {lines[-1]}")
    done, succeeded, failed, _, _ = map(int, requests.groups()[2:])
    rate = float(finished[3]) * (succeeded / done if done else 0)
    others = sum(map(int, status.groups()[1:]))
    # `failed` has errored and timed out requests in it, and statuses from 400 on.
    return Sample(rate, succeeded, max(failed, others), int(data[1]))


def run_h2load(scenario: Scenario, server: RunningServer, seconds: float) -> Sample:
    """Load a server for a time.

    Raises:
        LoadFailed: h2load failed, hung, or counted no response at all.
    """
    sample = _run(
        scenario,
        server,
        [f"--warm-up-time={WARM_UP * 1000:.0f}ms", "-D", f"{round(seconds * 1000)}ms"],
        connections=scenario.connections,
        streams=scenario.streams,
        seconds=seconds,
    )
    if not sample.done:
        raise LoadFailed(f"no response arrived, {sample.errors} failed")
    return sample


def check_answer(scenario: Scenario, server: RunningServer) -> None:
    """Ask a few times for what the scenario asks for.

    Raises:
        LoadFailed: The answer is not 200 with a body of the right size.
    """
    count = 20
    sample = _run(scenario, server, ["-n", str(count)], connections=1, streams=1, seconds=10)
    if sample.errors or sample.done != count:
        raise LoadFailed(f"{count - sample.done} of {count} requests failed")
    if sample.data != count * scenario.size:
        raise LoadFailed(f"a body has {sample.data / count:g} bytes, not {scenario.size}")


def _run(
    scenario: Scenario,
    server: RunningServer,
    amount: list[str],
    *,
    connections: int,
    streams: int,
    seconds: float,
) -> Sample:
    scheme = "https" if scenario.tls else "http"
    # h2load would fall back to HTTP/1.1 without a word.
    only_http2 = ["--npn-list=h2", "--no-tls-proto=h2c"]
    version = ["--h1"] if scenario.part is Part.HTTP1 else only_http2
    shape = ["-t", "1", "-c", str(connections), "-m", str(streams)]
    body = ["-d", str(server.upload)] if scenario.upload else []
    url = f"{scheme}://127.0.0.1:{server.port}{scenario.path}"
    before, begun = _generated(), time.monotonic()
    with subprocess.Popen(
        # Newer ones write what they print when a buffer is full, unless told otherwise.
        ["stdbuf", "-oL", "h2load", *version, *amount, *shape, *body, url],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        watchdog = threading.Timer(seconds + _GRACE, process.kill)
        watchdog.start()
        try:
            output, used = _read(process, server)
        finally:
            watchdog.cancel()
            process.kill()
    if process.returncode < 0:
        raise LoadFailed(f"h2load did not end within {seconds + _GRACE:.0f} s")
    if process.returncode:
        raise LoadFailed(f"h2load ended with {process.returncode}: {output.strip()[-200:]}")
    share = (_generated() - before) / (time.monotonic() - begun)
    return replace(parse(output), processor=used, generator=share)


def _generated() -> float:
    """Processor time of the load generators that have ended, in seconds."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _read(process: subprocess.Popen[str], server: RunningServer) -> tuple[str, float]:
    """What it prints, and the processor time that the server used while it measured."""
    lines, begin, end = [], 0.0, 0.0
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(_BEGIN):
            begin = server.processor_seconds()
        elif line.startswith(_END):
            end = server.processor_seconds()
        lines.append(line)
    process.wait()
    return "".join(lines), max(0.0, end - begin)
