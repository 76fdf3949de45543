"""The dashboard for Grafana, asked of a real Prometheus that scrapes real servers."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.admin.asked import administered, ask, proxying
from tests.peers import peer
from tests.ports import free_port
from tests.server.live import ServerProcess, until
from tests.server.raw import RawClient

DASHBOARD = Path(__file__).parents[2] / "docs" / "examples" / "grafana-dashboard.json"
SITE = "tests.admin.apps:site"
# The visitors here ask for few assets, and none of them is to be taken for a robot.
ALL_RENDER = ("--learn-min-chance", "0.0001", "--learn-control-share", "2")
PAGE = [(b"accept", b"text/html"), (b"user-agent", b"Mozilla/5.0")]


def expressions() -> list[str]:
    """Those of all panels, with a time for the variable that Grafana fills in."""
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    found = [target["expr"] for panel in panels for target in panel["targets"]]
    return [expression.replace("$__rate_interval", "1m") for expression in found]


def names() -> set[str]:
    """The metrics of ours that the panels name; those of a histogram by its name."""
    found = re.findall(r"headstart_[a-z_]+", " ".join(expressions()))
    return {name.removesuffix("_bucket") for name in found}


def counted(*targets: str) -> set[str]:
    """The metrics of which one of these addresses has a number."""
    texts = [ask(target, "/metrics").text for target in targets]
    lines = "\n".join(texts).splitlines()
    found = {re.split(r"[ {]", line)[0] for line in lines if not line.startswith("#")}
    return {name.removesuffix("_bucket") for name in found}


@contextmanager
def prometheus(folder: Path, *targets: str) -> Iterator[str]:
    """Run one that scrapes these addresses each second; gives its own address."""
    (folder / "prometheus.yml").write_text(
        json.dumps(
            {
                "global": {"scrape_interval": "1s"},
                "scrape_configs": [
                    {"job_name": "headstart", "static_configs": [{"targets": targets}]}
                ],
            }
        )
    )
    address = f"127.0.0.1:{free_port()}"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                peer("prometheus"),
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={address}",
            ],
            stdout=log,
            stderr=log,
        )
    try:
        until(lambda: b"Server is ready" in (folder / "log").read_bytes(), "Prometheus")
        yield address
    finally:
        process.kill()
        process.wait()


def samples(address: str, expression: str) -> list[float]:
    """The values of an expression now."""
    reply = ask(address, "/api/v1/query?" + urlencode({"query": expression}))
    assert reply.status == 200, (expression, reply.text)
    return [float(each["value"][1]) for each in json.loads(reply.text)["data"]["result"]]


def visit(server: ServerProcess) -> None:
    """Load the page with its assets, and send requests that are refused."""
    with RawClient(server.port) as client:
        client.get(b"/", PAGE)
        client.get(b"/style.css", [(b"referer", f"http://127.0.0.1:{server.port}/".encode())])
        client.get(b"/fails")
        client.settle()
    curl = [peer("curl"), "-s", "-m", "90", "-o", "/dev/null", f"http://127.0.0.1:{server.port}/"]
    subprocess.run([*curl, "-H", "Content-Length: 1, 2"], check=False)
    large = ["-H", "X: " + "x" * 20_000, "--http2-prior-knowledge"]
    subprocess.run([*curl, *large], check=False)


def test_each_expression_of_the_dashboard_has_data(tmp_path: Path) -> None:
    made = tmp_path / "prometheus"
    made.mkdir()
    given = ("--workers", "2", "--store", str(tmp_path / "store.sqlite3"))
    with (
        administered(SITE, *given, *ALL_RENDER) as (site, one),
        proxying(f"http://127.0.0.1:{free_port()}", "--cache", "1M", folder=tmp_path) as (
            proxy,
            two,
        ),
        administered("tests.admin.apps:hopeful", "--no-learn") as (hopeful, three),
    ):

        def visit_all() -> None:
            for server in (site, proxy, hopeful):
                visit(server)

        def all_are_counted() -> bool:
            visit_all()
            return names() <= counted(one, two, three)

        # On a busy machine it takes a while until a page's assets are known, and some refused.
        until(all_are_counted, "a number for each metric")
        with prometheus(made, one, two, three) as address:
            _wait_for_data(address, visit_all)


def _wait_for_data(address: str, visit_all: Callable[[], None]) -> None:
    missing = expressions()

    def none_is_missing() -> bool:
        visit_all()
        missing[:] = [each for each in missing if not samples(address, each)]
        print("without data:", *missing, sep="\n")
        return not missing

    until(none_is_missing, "data of each expression")


def test_expression_that_is_wrong_would_be_noticed(tmp_path: Path) -> None:
    with prometheus(tmp_path) as address:
        with pytest.raises(AssertionError, match="parse error"):
            samples(address, "sum by (code (rate(headstart_requests_total[1m])))")
        assert samples(address, "headstart_no_such_metric") == []


def test_queries_and_panels_are_where_grafana_expects_them() -> None:
    board = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    places = [panel["gridPos"] for panel in board["panels"]]

    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    assert {panel["type"] for panel in board["panels"]} == {"timeseries"}
    assert all(place["x"] + place["w"] <= 24 for place in places)
    assert [variable["type"] for variable in board["templating"]["list"]] == ["datasource"]
    assert {panel["datasource"]["uid"] for panel in board["panels"]} == {"${source}"}
    assert not re.search(r"\$(?!__rate_interval|\{source\})", DASHBOARD.read_text("utf-8"))
