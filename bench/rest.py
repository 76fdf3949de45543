"""Time to answer of a server at rest: one client, one request after the other.

h2load logs the time of each response. Called by `rounds`.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from statistics import median
from typing import Final

from bench.sample import LoadFailed, Sample
from bench.scenarios import Scenario
from bench.servers import RunningServer

_REQUESTS: Final = 500
_H2LOAD_SECONDS: Final = 30.0
_LOGGED: Final = re.compile(r"^\d+\t(\d+)\t(\d+)$", re.M)


def parse_log(text: str) -> list[float]:
    """Return the seconds that each response of h2load's log took.

    Raises:
        LoadFailed: One has another status than 200, or there is none.
    """
    lines = _LOGGED.findall(text)
    if not lines or any(status != "200" for status, _ in lines):
        raise LoadFailed(f"h2load logged {len(lines)} responses, not all of them 200")
    return [int(microseconds) / 1e6 for _, microseconds in lines]


def run_rest(scenario: Scenario, server: RunningServer, seconds: float) -> Sample:
    """Ask one request after the other on one connection; the median of the times.

    Args:
        seconds: Of no meaning; the number of requests says how long it takes.

    Raises:
        LoadFailed: h2load failed, or a response was not a 200.
    """
    del seconds
    with tempfile.NamedTemporaryFile("r", prefix="headstart-bench-") as log:
        command = [
            *("h2load", "--no-tls-proto=h2c", "-n", str(_REQUESTS), "-c", "1", "-m", "1"),
            *(f"--log-file={log.name}", f"http://127.0.0.1:{server.port}{scenario.path}"),
        ]
        try:
            subprocess.run(command, capture_output=True, check=True, timeout=_H2LOAD_SECONDS)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            raise LoadFailed(f"h2load failed: {error}") from error
        times = sorted(parse_log(log.read()))
    count = len(times)
    return Sample(count / sum(times), count, 0, 0, p50=median(times), p99=times[count * 99 // 100])
