"""The server and clients that others wrote, over real sockets: each gets what is pushed once."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from headstart import Link, hint
from headstart.middleware import HeadstartMiddleware
from tests.peers import peer
from tests.server.apps import PUSHED_BODY, Recorder, crowded, hasty, pushing
from tests.server.live import LiveServer, certificate, running
from tests.server.proxies import PROXIES

CLIENTS = Path(__file__).parents[1] / "clients"
PATIENCE = 90.0
PAGE = "main /page 200 4"
STYLE = f"push /style.css 200 {len(PUSHED_BODY)}"


@pytest.fixture(scope="module")
def tls_server() -> Iterator[LiveServer]:
    with running(pushing, tls=True) as server:
        yield server


@pytest.fixture(scope="module")
def server() -> Iterator[LiveServer]:
    with running(pushing) as server:
        yield server


def run(*command: str) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=PATIENCE, check=False, cwd=CLIENTS
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def responses(*command: str) -> list[str]:
    """Lines `kind path status bytes` of the scripts in tests/clients, without the 103."""
    lines = run(*command).splitlines()
    return sorted(line for line in lines if not line.startswith("informational"))


# nghttp.


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_nghttp_takes_the_push(scheme: str, server: LiveServer, tls_server: LiveServer) -> None:
    peer("nghttp")
    url = (tls_server if scheme == "https" else server).url

    assert responses("sh", "nghttp_push.sh", f"{url}/page") == [PAGE, STYLE]


def test_nghttp_without_pushes_gets_none(tls_server: LiveServer) -> None:
    log = run(peer("nghttp"), "-nvy", "--no-push", f"{tls_server.url}/page")

    assert "PUSH_PROMISE" not in log
    assert ":status: 200" in log


def test_nghttp_asks_a_hundred_times_at_once(tls_server: LiveServer) -> None:
    statistics = run(peer("nghttp"), "-nasy", "-m", "100", f"{tls_server.url}/style.css")

    assert statistics.count(" 200 ") == 100


def test_nghttp_with_tiny_windows_and_priorities_gets_all(server: LiveServer) -> None:
    nghttp = peer("nghttp")
    # Newer ones know no more of RFC 7540's priorities.
    prioritized = "--weight" in run(nghttp, "--help")
    options = ["--window-bits=10", "--connection-window-bits=16", *["--weight=200"] * prioritized]
    log = run(nghttp, "-nv", *options, f"{server.url}/style.css")

    # Of idle streams, as Firefox did once.
    assert ("send PRIORITY frame" in log) is prioritized
    assert sum(map(int, re.findall(r"recv DATA frame <length=(\d+)", log))) == len(PUSHED_BODY)
    assert "recv GOAWAY" not in log
    assert "recv RST_STREAM" not in log


# h2load.


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_h2load_with_many_streams_sees_no_error(
    scheme: str, server: LiveServer, tls_server: LiveServer
) -> None:
    url = (tls_server if scheme == "https" else server).url
    said = run(peer("h2load"), "-n", "3000", "-c", "5", "-m", "100", f"{url}/style.css")

    assert "3000 succeeded, 0 failed, 0 errored, 0 timeout" in said
    assert "3000 2xx" in said


def test_h2load_uploads_on_many_streams(server: LiveServer, tmp_path: Path) -> None:
    (tmp_path / "upload").write_bytes(bytes(300_000))
    upload = ("-d", str(tmp_path / "upload"))
    said = run(peer("h2load"), "-n", "200", "-c", "4", "-m", "25", *upload, f"{server.url}/page")

    assert "200 succeeded, 0 failed, 0 errored, 0 timeout" in said
    assert "200 2xx" in said


# curl.


def curl(*arguments: str) -> str:
    made = certificate()
    return run(peer("curl"), "-sS", "--cacert", str(made.ca_certfile), "-D", "-", *arguments)


def test_curl_verifies_us_and_speaks_http2_and_gets_no_103(tls_server: LiveServer) -> None:
    said = curl("--http2", f"{tls_server.url}/page")

    assert said.startswith("HTTP/2 200")
    assert said.endswith("\n\npage")


def test_curl_that_asks_for_html_sees_the_103(tls_server: LiveServer) -> None:
    said = curl("--http2", "-H", "Accept: text/html", f"{tls_server.url}/page")

    head, final = said.split("\n\n", 1)
    assert head.splitlines()[0].strip() == "HTTP/2 103"
    assert "link: </style.css>; rel=preload; as=style" in head
    assert final.startswith("HTTP/2 200")
    assert final.endswith("\n\npage")


@pytest.mark.parametrize("version", ["--http1.1", "--http2-prior-knowledge"])
def test_curl_gets_the_hint_of_an_application_in_the_response_at_its_first_visit(
    version: str,
) -> None:
    async def page(request: Request) -> HTMLResponse:
        outcome = await hint(request, Link("/style.css", as_="style"))
        return HTMLResponse(f"linked {outcome.linked}")

    with running(HeadstartMiddleware(Starlette(routes=[Route("/", page)]))) as server:
        said = run(peer("curl"), "-sS", version, "-D", "-", f"{server.url}/")

    assert said.splitlines()[0].split()[1] == "200"
    assert said.lower().count("\nlink: </style.css>; rel=preload; as=style\n") == 1
    assert said.endswith("\n\nlinked True")


@pytest.mark.parametrize(("fields", "status"), [(95, "200"), (110, "500")])
def test_curl_gets_large_header_sections_and_is_told_of_those_it_would_not_take(
    fields: int, status: str
) -> None:
    async def wordy(scope: Any, receive: Any, send: Any) -> None:
        told = [(b"x-%d" % number, b"a" * 1000) for number in range(fields)]
        await send({"type": "http.response.start", "status": 200, "headers": told})
        await send({"type": "http.response.body", "body": b"page"})

    with running(wordy) as server:
        said = run(
            *(peer("curl"), "-sS", "--http2-prior-knowledge", "-o", "/dev/null"),
            *("-w", "%{http_code}", server.url),
        )

    assert said == status


def test_curl_speaks_http2_by_prior_knowledge(server: LiveServer) -> None:
    said = curl("--http2-prior-knowledge", f"{server.url}/page")

    assert "HTTP/2 200" in said
    assert said.endswith("page")


_NODE_BLANKS = """
const client = require('http2').connect(process.argv[1]);
const request = client.request({'user-agent': 'Mozilla/5.0 ', 'x-a': ' a'});
request.on('response', (headers) => { console.log(headers[':status']); });
request.on('error', (error) => { console.log(error.message); });
request.on('close', () => { client.close(); });
request.resume();
request.end();
"""


def test_blanks_that_clients_send_around_values_are_dropped() -> None:
    """As Node, Go and nginx do with requests; the engine would reset the stream."""
    app = Recorder()
    with running(app) as server:
        clear = server.url.replace("localhost", "127.0.0.1")
        status = run(
            *(
                peer("curl"),
                "-sS",
                "--http2-prior-knowledge",
                "-w",
                "%{http_code}",
                "-o",
                "/dev/null",
            ),
            *("-A", "Mozilla/5.0 ", "-H", "X-A: a ", clear),
        )
        printed = run(peer("node"), "-e", _NODE_BLANKS, clear)

    assert (status, printed) == ("200", "200\n")
    for scope in (app.next(), app.next()):
        fields = dict(scope["headers"])
        assert (fields[b"user-agent"], fields[b"x-a"]) == (b"Mozilla/5.0", b"a")


@pytest.mark.parametrize("secure", [True, False], ids=["TLS", "cleartext"])
def test_curl_speaks_http_1_1_without_103(
    secure: bool, server: LiveServer, tls_server: LiveServer
) -> None:
    said = curl("--http1.1", f"{(tls_server if secure else server).url}/page")

    assert said.startswith("HTTP/1.1 200")
    assert said.endswith("page")


def test_curl_that_asks_for_an_upgrade_is_answered_in_http_1_1(server: LiveServer) -> None:
    said = curl("--http2", f"{server.url}/page")

    assert said.startswith("HTTP/1.1 200")


VERSIONS = [["--http2-prior-knowledge"], ["--http2"], ["--http1.1"]]
UPLOADS = [["-T", "upload"], ["--data-binary", "@upload"]]


@pytest.mark.parametrize("expect", ["Expect: 100-continue", "Expect:"])
@pytest.mark.parametrize("upload", UPLOADS, ids=lambda upload: upload[0])
@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version[0])
def test_curl_uploads(
    version: list[str],
    upload: list[str],
    expect: str,
    server: LiveServer,
    tls_server: LiveServer,
    tmp_path: Path,
) -> None:
    (tmp_path / "upload").write_bytes(bytes(2_000_000))
    url = (tls_server if version == ["--http2"] else server).url
    options = [*version, *_below(tmp_path, upload), "-X", "POST", "-H", expect]

    assert curl(*options, f"{url}/page").endswith("2000000")


@pytest.mark.parametrize("expect", ["Expect: 100-continue", "Expect:"])
@pytest.mark.parametrize("upload", UPLOADS, ids=lambda upload: upload[0])
@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version[0])
def test_curl_gets_the_answer_to_an_upload_that_nobody_reads(
    version: list[str],
    upload: list[str],
    expect: str,
    tmp_path: Path,
) -> None:
    (tmp_path / "upload").write_bytes(bytes(20_000_000))
    options = [*version, *_below(tmp_path, upload), "-X", "POST", "-H", expect]

    with running(hasty, tls=version == ["--http2"]) as server:
        said = curl(*options, f"{server.url}/page")

    assert " 413" in said
    assert said.endswith("too large")


def _below(folder: Path, upload: list[str]) -> list[str]:
    return [upload[0], upload[1].replace("upload", str(folder / "upload"))]


# Node.


def test_node_takes_the_push_once(tls_server: LiveServer) -> None:
    assert responses(peer("node"), "node_push_client.mjs", f"{tls_server.url}/page") == [
        PAGE,
        STYLE,
    ]


def test_node_that_asks_for_html_sees_the_103(tls_server: LiveServer) -> None:
    url = f"{tls_server.url}/page"
    said = run(peer("node"), "node_push_client.mjs", url, "--no-push", "--page")
    program = run(peer("node"), "node_push_client.mjs", url, "--no-push")

    assert "informational 103 link=</style.css>; rel=preload; as=style" in said
    assert "informational" not in program


def test_node_without_pushes_gets_none(tls_server: LiveServer) -> None:
    command = (peer("node"), "node_push_client.mjs", f"{tls_server.url}/page", "--no-push")

    assert responses(*command) == [PAGE]


def test_node_takes_ten_pushes_with_each_of_fifty_pages() -> None:
    with running(crowded, tls=True) as crowd:
        said = run(peer("node"), "node_many_pushes.mjs", crowd.url, "50")

    pages = [f"page /page/{page} /page/{page}" for page in range(1, 51)]
    assets = [f"/asset/page/{page}/{asset}" for page in range(1, 51) for asset in range(10)]
    pushes = [f"push {asset} {asset}" for asset in assets]
    assert sorted(said.splitlines()) == sorted(pages + pushes)


# Java.


def test_java_takes_the_push_once(tls_server: LiveServer) -> None:
    assert responses(peer("java"), "PushClient.java", f"{tls_server.url}/page") == [
        f"{PAGE} HTTP_2",
        STYLE,
    ]


@pytest.mark.parametrize("proxy", PROXIES)
def test_java_without_a_library_gets_the_page_behind_a_proxy(proxy: str) -> None:
    """Its Accept begins with HTML, and it takes a 103 that a proxy passes on for the response."""
    java = peer("java")
    peer(proxy)
    with running(pushing) as server, PROXIES[proxy](server.port) as port:
        assert responses(java, "UrlConnection.java", f"http://127.0.0.1:{port}/page") == [PAGE]


# httpx.


def test_httpx_speaks_http2_and_verifies_us(tls_server: LiveServer) -> None:
    import ssl

    context = ssl.create_default_context(cafile=certificate().ca_certfile)
    with httpx.Client(http2=True, verify=context, trust_env=False) as client:
        answers = [client.get(f"{tls_server.url}/page") for _ in range(3)]

    assert [(a.http_version, a.status_code, a.text) for a in answers] == [
        ("HTTP/2", 200, "page")
    ] * 3
