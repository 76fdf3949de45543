"""/metrics of real servers: values after a known load, with promtool as a reader."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from headstart.admin.metrics import BY_NAME
from tests.admin.asked import administered, ask, proxying
from tests.peers import peer
from tests.server.live import ServerProcess, serving, until
from tests.server.raw import RawClient

SITE = "tests.admin.apps:site"
ASSETS = ("/style.css", "/script.js")
Values = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def scrape(address: str) -> Values:
    """The samples of a scrape, by name and labels."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(ask(address, "/metrics").text)
        for sample in family.samples
    }


def value(values: Values, name: str, **labels: str) -> float:
    return values.get((f"headstart_{name}", tuple(sorted(labels.items()))), 0.0)


def load(server: ServerProcess, path: str, *more: str) -> str:
    """Ask once, on a connection of its own; gives the content."""
    command = [peer("curl"), "-s", "-m", "90", *more, f"http://127.0.0.1:{server.port}{path}"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


@pytest.mark.parametrize("workers", ["1", "2"])
def test_values_are_right_after_a_known_load(workers: str, tmp_path: Path) -> None:
    given = ("--workers", workers, "--store", str(tmp_path / "store.sqlite3"))
    with administered(SITE, *given) as (server, address):
        before = value(scrape(address), "connections_accepted_total")
        for _ in range(12):
            load(server, "/", "-H", "Accept: text/html")
            load(server, "/style.css", "--http2-prior-knowledge")
        for _ in range(5):
            load(server, "/missing", "--http2-prior-knowledge")
        for _ in range(3):
            load(server, "/fails")
        load(server, "/", "-H", "Content-Length: 1, 2")
        load(server, "/", "-H", "X: " + "x" * 20_000)
        load(server, "/", "-H", "X: " + "x" * 20_000, "--http2-prior-knowledge")

        until(lambda: value(scrape(address), "connections_open") == 0, "the connections' end")
        values = scrape(address)
        load_time = value(values, "request_duration_seconds_sum")

    def requests(version: str, code: str) -> float:
        return value(values, "requests_total", version=version, pushed="false", code=code)

    assert requests("1.1", "200") == 12
    assert requests("2", "200") == 12
    assert requests("2", "404") == 5
    assert requests("1.1", "500") == 3
    assert value(values, "request_duration_seconds_count") == 32
    assert value(values, "request_duration_seconds_bucket", le="+Inf") == 32
    assert load_time > 0
    assert value(values, "connections_accepted_total") - before == 35
    assert value(values, "requests_refused_total", reason="too-large") == 1
    assert value(values, "connections_ended_total", reason="too-large") == 1
    assert value(values, "connections_ended_total", reason="malformed") == 1
    assert value(values, "sent_bytes_total") > 12 * 2 * 100
    assert value(values, "received_bytes_total") > 32 * 50
    assert value(values, "views_total") == 12
    assert value(values, "workers", state="answering") == int(workers)
    assert value(values, "workers", state="silent") == 0
    assert value(values, "memory_bytes") > 10_000_000
    assert value(values, "cpu_seconds_total") > 0
    assert value(values, "event_loop_delay_seconds_count") > 0
    assert value(values, "store_up") == 1
    assert value(values, "requests_in_progress") == 0


def test_assets_sent_ahead_are_counted_by_way_and_reason(tmp_path: Path) -> None:
    given = ("--store", str(tmp_path / "store.sqlite3"), "--learn-control-share", "0")
    with administered(SITE, *given) as (server, address):
        for _ in range(3):
            with RawClient(server.port) as client:
                client.get(b"/", [(b"accept", b"text/html"), (b"user-agent", b"Mozilla/5.0")])
        until(lambda: value(scrape(address), "map_pages") >= 1, "the map")
        with RawClient(server.port) as client:
            client.get(b"/", [(b"accept", b"text/html"), (b"user-agent", b"Mozilla/5.0")])
            client.settle()
        values = scrape(address)

    sent = sum(value(values, "assets_sent_total", way=way) for way in ("push", "hint", "link"))
    refused = sum(n for (name, _), n in values.items() if name == "headstart_assets_refused_total")
    assert value(values, "map_assets") >= 2
    assert sent >= 2
    assert value(values, "candidates_total") == sent + refused
    assert value(values, "pushes_total") == value(values, "assets_sent_total", way="push") > 0
    assert value(values, "requests_total", version="2", pushed="true", code="200") == value(
        values, "pushes_total"
    )


def test_open_connections_and_their_streams_are_counted_while_they_last() -> None:
    with administered(SITE, "--no-learn") as (server, address), RawClient(server.port) as client:
        client.get(b"/")
        idle = scrape(address)
        waiting = [client.request(b"/waits", end_stream=False) for _ in range(2)]
        client.settle()
        busy = scrape(address)
        for stream_id in waiting:
            client.send_data(stream_id, b"", end_stream=True)
            client.response(stream_id)
        done = scrape(address)

    figures = [
        [value(values, name) for name in ("connections_open", "streams_open")]
        for values in (idle, busy, done)
    ]
    assert figures == [[1, 0], [1, 2], [1, 0]]
    assert "in vain" not in server.log


def test_promtool_finds_no_fault_in_any_metric(tmp_path: Path) -> None:
    promtool = peer("promtool")
    with (
        serving(SITE, "--no-learn") as upstream,
        proxying(f"http://127.0.0.1:{upstream.port}", folder=tmp_path) as (server, address),
    ):
        for _ in range(3):
            load(server, "/", "-H", "Accept: text/html", "--http2-prior-knowledge")
            load(server, "/style.css", "-H", "Cookie: a=b")
        load(server, "/", "-H", "X: " + "x" * 20_000)
        upstream.end()
        assert "502" in load(server, "/missing", "-w", "%{http_code}")
        text = ask(address, "/metrics").text
    done = subprocess.run(
        [promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    named = set(re.findall(r"^# TYPE (\S+) ", text, re.MULTILINE)) - {"headstart_info"}
    unseen = {
        *("headstart_pushes_refused_total", "headstart_assets_sent_total"),
        *("headstart_recall_ratio", "headstart_waste_ratio", "headstart_assets_refused_total"),
    }
    assert named | unseen == set(BY_NAME)


def test_openmetrics_is_there_for_those_who_ask() -> None:
    accept = {"accept": "application/openmetrics-text; version=1.0.0"}
    with administered(SITE) as (_, address):
        reply = ask(address, "/metrics", headers=accept)

    assert reply.headers["content-type"].startswith("application/openmetrics-text")
    assert reply.text.endswith("# EOF\n")


def test_counters_do_not_fall_when_a_worker_is_killed() -> None:
    with administered("tests.admin.apps:hanging", "--workers", "2") as (server, address):
        until(lambda: value(scrape(address), "workers", state="answering") == 2)
        pids = {load(server, "/") for _ in range(20)}
        before = scrape(address)

        for pid in pids:
            os.kill(int(pid), signal.SIGKILL)

        until(lambda: server.log.count("Application startup complete") == 2 + len(pids))
        until(lambda: value(scrape(address), "workers", state="answering") == 2)
        after = scrape(address)

    assert value(before, "requests_total", version="1.1", pushed="false", code="200") == 20
    growing = [key for key in before if key[0].endswith(("_total", "_count", "_sum", "_bucket"))]
    assert {
        key: (before[key], after.get(key, 0)) for key in growing if after[key] < before[key]
    } == {}
    assert value(after, "requests_total", version="1.1", pushed="false", code="200") == 20


def test_worker_that_is_replaced_hands_its_numbers_over() -> None:
    with administered(SITE, "--workers", "2") as (server, address):
        for _ in range(10):
            load(server, "/style.css")
        server.process.send_signal(signal.SIGHUP)
        until(lambda: server.log.count("Finished server process") == 2, "the restart")
        until(lambda: value(scrape(address), "workers", state="answering") == 2)
        values = scrape(address)

    assert value(values, "requests_total", version="1.1", pushed="false", code="200") == 10
