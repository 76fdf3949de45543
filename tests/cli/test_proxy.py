"""`headstart proxy` as a command, in front of a real server."""

from __future__ import annotations

import gc
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from headstart.cli import main
from headstart.cli.proxy import ProxyProcess
from tests.peers import peer
from tests.server.live import ServerProcess, running


async def page(request: Request) -> HTMLResponse:
    return HTMLResponse("<link rel=stylesheet href=/style.css>")


async def style(request: Request) -> Response:
    headers = {"cache-control": "max-age=600"}
    return PlainTextResponse("a{}", media_type="text/css", headers=headers)


SITE = Starlette(routes=[Route("/", page), Route("/style.css", style)])


def curl(*arguments: str) -> str:
    return subprocess.run(
        [peer("curl"), "-s", "-m", "90", *arguments], capture_output=True, text=True, check=True
    ).stdout


def test_proxy_serves_the_script_of_rum_and_takes_its_reports(tmp_path: Path) -> None:
    store = ("--store", str(tmp_path / "map.sqlite3"))
    with running(SITE) as site:
        server = ServerProcess(
            "proxy", f"http://127.0.0.1:{site.port}", "--port", "0", "--rum", *store
        )
        try:
            server.wait_until_started()
            url = f"http://localhost:{server.port}/.headstart/rum"
            script = curl("-i", "--http2-prior-knowledge", f"{url}.js")
            sent = ("-o", "/dev/null", "-w", "%{http_code}", "-d", "hint 1 2 3 /")
            own = curl(*sent, "-H", f"Origin: http://localhost:{server.port}", url)
            other = curl(*sent, "-H", "Origin: https://evil.example", url)
        finally:
            server.end()

    assert "text/javascript" in script
    assert "sendBeacon" in script
    assert (own, other) == ("204", "403")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_site_is_served_over_both_versions_of_http(workers: str) -> None:
    with running(SITE, server_header=False) as site:
        server = ServerProcess(
            *("proxy", f"http://127.0.0.1:{site.port}", "--port", "0", "--no-learn"),
            *("--workers", workers),
        )
        try:
            server.wait_until_started()
            url = f"http://localhost:{server.port}/"
            answers = [curl(flag, "-i", url) for flag in ("--http1.1", "--http2-prior-knowledge")]
            server.terminate()
            status = server.wait()
        finally:
            server.end()

    for answer in answers:
        head, _, body = answer.replace("\r", "").partition("\n\n")
        assert " 200" in head.splitlines()[0]
        assert head.lower().count("date: ") == 1
        assert "server: headstart" not in head
        assert body == "<link rel=stylesheet href=/style.css>"
    assert status in (0, -15)


def test_help_shows_the_proxys_options_behind_those_that_most_people_need() -> None:
    shown = CliRunner().invoke(main, ["proxy", "--help"]).output

    assert "headstart proxy http://127.0.0.1:8080" in shown
    assert shown.index("--host") < shown.index("--upstream-host") < shown.index("--log-level")
    assert "--reload " not in shown


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Missing argument"),
        (["localhost:80"], "is not an HTTP server"),
        (["http://localhost:99999"], "is not a URL: Port out of range 0-65535"),
        (["http://localhost:8099", "--port", "8099"], "is the address of the proxy itself"),
        (["https://localhost", "--upstream-cacert", "/absent.pem"], "cannot be used"),
        (["http://localhost", "--upstream-cacert", "/absent.pem"], "cannot be used"),
    ],
)
def test_wrong_call_is_told_in_a_line(arguments: list[str], said: str) -> None:
    result = CliRunner().invoke(main, ["proxy", *arguments])

    assert result.exit_code in (1, 2)
    assert said in result.output
    assert "Traceback" not in result.output


async def test_process_of_its_own_looks_for_cyclic_garbage_less_often() -> None:
    async def receive() -> dict[str, str]:
        return {"type": "lifespan.shutdown"}

    async def send(_: object) -> None:
        """Take whatever the proxy says."""

    before = gc.get_threshold()
    try:
        await ProxyProcess("http://127.0.0.1:1")({"type": "lifespan"}, receive, send)
        after = gc.get_threshold()
    finally:
        gc.set_threshold(*before)

    assert after[0] > before[0]
