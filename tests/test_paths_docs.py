"""docs/paths.md: a reader's commands are run word for word, in an empty folder."""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.django.serving import NAVIGATION
from tests.export.test_nginx import nginx
from tests.h2c.room import room
from tests.peers import peer
from tests.server.live import (
    PATIENCE,
    ServerProcess,
    certificate,
    environment,
    serving,
    until,
)
from tests.server.raw import RawClient

ROOT = Path(__file__).parents[1]
DOCS = (ROOT / "docs" / "paths.md").read_text()


def blocks(section: str, language: str) -> list[str]:
    """Return the blocks of code under a heading."""
    text = DOCS.split(f"\n## {section}\n")[1].split("\n## ")[0]
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def typed(text: str, folder: Path) -> str:
    """Run the lines of a block in a shell; return what they print."""
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text],
        cwd=folder,
        env={**environment(), "PATH": path},
        stdout=subprocess.PIPE,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    return done.stdout


def test_django_page_is_hinted(tmp_path: Path) -> None:
    make, serve, ask, *_ = blocks("A hinted Django page", "sh")
    [shown] = blocks("A hinted Django page", "text")
    typed(make, tmp_path)
    command, options = serve.split(" --port 8000\n")[0].split()[2:], ["--no-learn"]

    with serving(*command, *options, folder=tmp_path / "mysite") as server, room(tmp_path) as here:
        words = shlex.split(ask.replace(":8000", f":{server.port}"))
        page = here.ok(*words[1:])
        style = here.ok("get", f"http://localhost:{server.port}/static/app.css")

    assert page.startswith(shown)
    assert "<h1>Hello</h1>" in page
    assert style == "body { font-family: sans-serif }\n"


def test_django_page_is_hinted_over_tls_and_curl_shows_it(tmp_path: Path) -> None:
    peer("curl")
    make, _, _, trust, serve, ask = blocks("A hinted Django page", "sh")
    typed(make, tmp_path)
    folder = tmp_path / "mysite"
    # `mkcert localhost` writes files of the names that the development CA's certificate has.
    assert trust.splitlines()[-1] == "mkcert localhost"
    made = certificate()
    for path in (made.certfile, made.keyfile):
        (folder / path.name).write_bytes(path.read_bytes())
    command = serve.replace(" --port 8443", "").split()[2:]

    with serving(*command, "--no-learn", folder=folder) as server:
        here = ask.replace(":8443", f":{server.port}")
        answer = typed(
            f"export CURL_CA_BUNDLE={shlex.quote(str(made.ca_certfile))}\n{here}", folder
        )

    early, _, page = answer.replace("\r", "").partition("\n\n")
    assert early.startswith("HTTP/2 103")
    assert "link: </static/app.css>; rel=preload; as=style" in early
    assert page.startswith("HTTP/2 200")


def test_nginx_sends_what_the_log_teaches(tmp_path: Path) -> None:
    peer("nginx")
    commands, ask = blocks("An nginx configuration from your access log", "sh")
    [line] = blocks("An nginx configuration from your access log", "nginx")
    (tmp_path / "access.log").write_bytes((ROOT / "docs/examples/access.log").read_bytes())
    assert "(examples/access.log)" in DOCS
    shown = typed(commands, tmp_path)
    made = (tmp_path / "headstart.conf").read_text()
    peer("curl")

    with nginx(made) as (port, _):
        answer = typed(ask.replace("localhost/", f"127.0.0.1:{port}/"), tmp_path)

    assert "Requests saved: 16 of 26 were" in shown
    assert f"#     {line}" in made
    assert answer.startswith("Link: </style.css>; rel=preload; as=style")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "main.py").write_text(
        "async def app(scope, receive, send):\n"
        "    if scope['type'] == 'http':\n"
        "        page = scope['path'] == '/'\n"
        "        kind = b'text/html' if page else b'text/css'\n"
        "        body = b'<link rel=stylesheet href=/a.css>' if page else b'a{}'\n"
        "        headers = [(b'content-type', kind), (b'cache-control', b'max-age=600')]\n"
        "        await send({'type': 'http.response.start', 'status': 200, 'headers': headers})\n"
        "        await send({'type': 'http.response.body', 'body': body})\n"
    )
    with serving("main:app", "--lifespan", "off", "--no-learn", folder=tmp_path) as server:
        yield f"http://localhost:{server.port}/"


def test_waterfall_of_a_site_is_drawn(site: str, tmp_path: Path) -> None:
    command, _ = blocks("A waterfall of your own site", "sh")
    words = shlex.split(command.replace("https://www.example.org/", site))[1:]

    with room(tmp_path) as here:
        table = here.ok(*words)
        here.ok("stop")
        figures = here.ok("load", site, "--json")
        drawn = (here.folder / "waterfall.svg").read_text()

    assert "/a.css" in table
    assert "/a.css" in drawn
    assert "/a.css" in figures


def test_site_without_http_2_is_loaded_behind_the_proxy(tmp_path: Path) -> None:
    _, command = blocks("A waterfall of your own site", "sh")
    (tmp_path / "index.html").write_text("<h1>Here</h1>")
    handler = partial(SimpleHTTPRequestHandler, directory=tmp_path)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as upstream, room(tmp_path) as here:
        thread = threading.Thread(target=upstream.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{upstream.server_port}"
        known = {"http://127.0.0.1:3000": url, "8000": "0"}
        words = [known.get(word, word) for word in shlex.split(command)]
        proxy = ServerProcess(*words[1:], folder=tmp_path)
        try:
            refused = here.h2c("load", f"{url}/")
            proxy.wait_until_started()
            table = here.ok("load", f"http://localhost:{proxy.port}/")
        finally:
            proxy.end()
            upstream.shutdown()
            thread.join()

    assert "answers in HTTP/1.1, not HTTP/2" in refused.err
    assert "headstart proxy" in refused.err
    assert table.splitlines()[-1].startswith("1 resource")


def test_commands_for_wordpress_serve_a_site_and_show_what_was_learned(
    site: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve, show = blocks("WordPress behind the proxy", "sh")
    made = certificate()
    monkeypatch.setenv("HEADSTART_DATA", str(tmp_path / "data"))
    here = {"cert.pem": str(made.certfile), "key.pem": str(made.keyfile), "443": "0"}
    words = shlex.split(serve.replace("http://127.0.0.1:8080", site.rstrip("/")))
    proxy = ServerProcess(*(here.get(word, word) for word in words[1:]), folder=tmp_path)
    try:
        proxy.wait_until_started()
        # A server on 127.0.0.1 alone refuses this address, as it would those of other machines.
        socket.create_connection(("127.0.0.2", proxy.port)).close()
        for visitor in range(2):
            with RawClient(proxy.port, tls=True, address=f"127.0.0.{visitor + 2}") as client:
                referer = (b"referer", b"https://localhost/")
                assert client.get(b"/", headers=NAVIGATION).status == 200
                assert client.get(b"/a.css", headers=[referer]).status == 200
        until(lambda: "/a.css" in typed(show, tmp_path), "the map")
    finally:
        proxy.end()
