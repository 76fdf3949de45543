"""The filter's story: who comes first is watched, who comes second gets everything ahead.

Over real connections: against `headstart demo` in a process of its own with the clients that others
wrote, and against a server in this process where each frame counts. Workers, restarts and WSGI
applications are in it too.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from headstart.config import DeliverOptions, ServerOptions, WireLimits
from headstart.demo.app import app as demo_app
from headstart.demo.site import ASSETS
from headstart.middleware import keeper
from headstart.store.base import StoreError
from headstart.store.offline import saved
from tests.peers import peer
from tests.ports import free_port
from tests.server.apps import Headers, Receive, Scope, Send, body, lifespan, start
from tests.server.live import PATIENCE, ServerProcess, certificate, serving, until
from tests.server.raw import RawClient
from tests.visits import (
    NAVIGATION,
    NO_PUSH,
    Load,
    Site,
    Visited,
    answer_head,
    load,
    visited,
)

CLIENTS = Path(__file__).parent / "clients"
CANCEL = 8  # RFC 9113, 7
SITE = "/site/"
EVERYTHING = {SITE + name for name in ASSETS}
# What the page names itself; the font and the paper are the stylesheet's.
BY_STYLE = ("blocks.woff2", "paper.svg")
OF_PAGE = {SITE + name for name in ASSETS if name not in BY_STYLE}

TURN = keeper._SYNC_SECONDS
"""Between two exchanges of a worker with its store, as it is where no test has changed it."""


# The demo, to other people's clients.


@contextmanager
def demo() -> Iterator[str]:
    """Run `headstart demo`; gives its URL."""
    port = free_port()
    server = ServerProcess("demo", "--port", str(port))
    server.port = port
    try:
        server.wait_until_started()
        yield f"https://localhost:{port}"
    finally:
        server.end()


def run(*command: str) -> list[list[str]]:
    """What a client says, line by line, in words."""
    trusted = {**os.environ, "NODE_EXTRA_CA_CERTS": str(certificate().ca_certfile)}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=PATIENCE, check=False, env=trusted
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [line.split() for line in done.stdout.splitlines()]


def node(url: str, *more: str) -> dict[str, set[str]]:
    """Load the site with Node: what came how."""
    assets = [name for name in ASSETS if name not in BY_STYLE]
    assets += [f"{name}@style.css" for name in BY_STYLE]
    script = str(CLIENTS / "node_page_load.mjs")
    came: dict[str, set[str]] = {"main": set(), "push": set(), "asset": set()}
    for kind, path, status, _ in run(peer("node"), script, url + SITE, *assets, *more):
        assert status == "200"
        came[kind].add(path)
    return came


def nghttp(url: str, *more: str) -> tuple[set[str], set[str]]:
    """Load the site with nghttp: what was pushed, and what it asked for besides the page."""
    page = url + SITE
    lines = run(peer("nghttp"), "-nasy", "-H", f"referer: {page}", *more, page)
    table = [words for words in lines if words and words[-1].startswith(SITE)]
    assert {words[-3] for words in table} == {"200"}
    pushed = {words[-1] for words in table if "*" in words}
    return pushed, {words[-1] for words in table} - pushed - {SITE}


def loads_until_pushed(load: Callable[[], set[str]]) -> None:
    """Load until something is pushed: the map is brought up to date about once a second."""
    until(load, "a push", seldom=True)


def test_demo_pushes_all_to_nodes_second_load() -> None:
    with demo() as url:
        first = node(url)
        loads_until_pushed(lambda: node(url)["push"])
        second = node(url)

    assert first == {"main": {SITE}, "push": set(), "asset": EVERYTHING}
    assert second == {"main": {SITE}, "push": EVERYTHING, "asset": set()}


def test_demo_pushes_all_to_nghttps_second_load_and_nothing_to_a_conditional_one() -> None:
    with demo() as url:
        first = nghttp(url)
        loads_until_pushed(lambda: nghttp(url)[0])
        second = nghttp(url)
        conditional = nghttp(url, "-H", 'if-none-match: "x"')

    assert first == (set(), OF_PAGE)
    assert second == (OF_PAGE, set())
    assert conditional[0] == set()


# A page that nobody knows yet.


def test_nghttps_first_load_is_pushed_what_the_html_names_while_the_rest_is_made() -> None:
    asked: set[str] = set()
    arrived = asyncio.Condition()
    assets = {SITE + "a.css": "text/css", SITE + "b.js": "text/javascript"}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await lifespan(receive, send)
        path = scope["path"]
        await send(start(200, answer_head(assets.get(path, "text/html"))))
        if path in assets:
            async with arrived:
                asked.add(path)
                arrived.notify_all()
            await send(body(b"/* */"))
            return None
        names = f"<link rel=stylesheet href={SITE}a.css><script src={SITE}b.js></script>"
        await send(body(names.encode(), more_body=True))
        async with arrived, asyncio.timeout(PATIENCE):
            await arrived.wait_for(lambda: asked == set(assets))
        await send(body(b"<p>the end"))
        return None

    with visited(app, tls=True) as site:
        first = nghttp(site.live.url, "-H", "accept: text/html")

    assert first == (set(assets), set())


# The demo, frame by frame.

SECURE = {"tls": True}


@pytest.fixture(scope="module")
def taught() -> Iterator[Visited]:
    """The demo's site, after its first visitor."""
    options = ServerOptions(limits=WireLimits(max_pushes_per_request=12))
    with visited(
        demo_app,
        deliver=DeliverOptions(max_assets=12, push_named=False),
        tls=True,
        server={"options": options},
    ) as site:
        first = site.visit(SITE, sorted(EVERYTHING))
        assert (first.ahead, set(first.asked)) == ([], EVERYTHING)
        site.later()
        yield site


def test_every_asset_is_promised_and_pushed_before_the_pages_own_bytes(taught: Visited) -> None:
    with taught.client() as client:
        second = load(client, SITE, sorted(EVERYTHING))
    pushes = sorted(client.promises)
    frames = client.received("HEADERS") + client.received("DATA") + client.received("PUSH_PROMISE")
    order = sorted(frames, key=client.frames.index)
    of_page = [
        place
        for place, frame in enumerate(order)
        if frame.stream_id == second.stream_id and frame.kind != "PUSH_PROMISE"
    ]
    of_pushes = [
        place
        for place, frame in enumerate(order)
        if frame.stream_id in pushes or frame.kind == "PUSH_PROMISE"
    ]

    assert (set(second.promised), second.asked) == (EVERYTHING, [])
    assert max(of_pushes) < min(of_page)
    assert {path: answer.body for path, answer in second.answers.items()} == {
        SITE + name: content for name, (_, content) in ASSETS.items()
    }


def test_client_without_pushes_gets_one_103_with_every_asset_before_the_page(
    taught: Visited,
) -> None:
    with taught.client(push=False) as client:
        second = load(client, SITE)

    assert len(second.page.informational) == 1
    assert {link.target for link in second.hinted} == EVERYTHING
    assert (second.promised, second.linked) == ([], [])


@pytest.mark.parametrize(
    "condition",
    [(b"if-none-match", b'"x"'), (b"if-modified-since", b"Thu, 01 Jan 2026 00:00:00 GMT")],
)
@pytest.mark.parametrize("push", [True, False])
def test_conditional_load_gets_nothing_ahead(
    taught: Visited, condition: tuple[bytes, bytes], push: bool
) -> None:
    again = taught.visit(SITE, headers=[*NAVIGATION, condition], push=push)

    assert (again.page.status, again.ahead) == (200, [])


def test_page_shows_what_came_how(taught: Visited) -> None:
    second = taught.visit(SITE)

    assert second.page.body.count(b"<td>push<td>") == len(EVERYTHING)


# What changes.


@pytest.mark.parametrize("status", [404, 410, 301, 500])
def test_pushed_asset_that_is_no_longer_there_is_not_pushed_again(status: int) -> None:
    app = Site("/a.css", "/b.css")
    with visited(app) as site:
        site.teach(app.found, visitors=3)
        app.found["/a.css"].status = status
        second = site.visit("/")
        third = site.visit("/")

    assert second.promised == ["/a.css", "/b.css"]
    if status == 500:
        # It is not sent: the client asks itself if it needs the asset.
        assert second.answers["/a.css"].reset == CANCEL
    else:
        assert second.answers["/a.css"].status == status
    assert third.promised == ["/b.css"]


@pytest.mark.parametrize(
    "headers",
    [
        answer_head("text/css", cache=b"private, max-age=600"),
        answer_head("text/css", (b"set-cookie", b"a=b")),
        answer_head("text/css", (b"vary", b"Cookie")),
        answer_head("text/html"),
    ],
    ids=["private", "Set-Cookie", "Vary", "HTML in its place"],
)
def test_pushed_asset_that_is_no_longer_for_everybody_is_not_pushed_again(headers: Headers) -> None:
    app = Site("/a.css", "/b.css")
    with visited(app) as site:
        site.teach(app.found, visitors=3)
        app.found["/a.css"].headers = headers
        second = site.visit("/")
        third = site.visit("/")

    assert (second.promised, third.promised) == (["/a.css", "/b.css"], ["/b.css"])


def test_hinted_asset_that_is_no_longer_there_is_not_hinted_again() -> None:
    app = Site("/a.css", "/b.css")
    with visited(app) as site:
        site.teach(app.found, visitors=3)
        app.found["/a.css"].status = 404
        second = site.visit("/", app.found, push=False)
        third = site.visit("/", app.found, push=False)

    assert (second.ahead, third.ahead) == (["/a.css", "/b.css"], ["/b.css"])


def test_what_a_pushed_stylesheet_asks_for_is_learned_too() -> None:
    app = Site("/site.css", "/blocks.woff2")
    app.found["/blocks.woff2"].headers = answer_head("font/woff2")
    with visited(app) as site:
        site.teach(["/site.css"], visitors=2)
        for number in range(4):
            with site.client(f"127.0.1.{number + 1}") as client:
                promised = load(client, "/").promised
                assert promised[:1] == ["/site.css"]
                if "/blocks.woff2" not in promised:
                    client.get(b"/blocks.woff2", [(b"referer", b"http://localhost/site.css")])
            site.later()
        last = site.visit("/", address="127.0.1.9")

    assert last.promised == ["/site.css", "/blocks.woff2"]


OLD, NEW = "/site.0a1b2c3d.css", "/site.4e5f6a7b.css"


@pytest.mark.parametrize("old_is_gone", [True, False], ids=["gone", "still there"])
@pytest.mark.parametrize("push", [True, False], ids=["push", "103"])
@pytest.mark.parametrize("visitors", [1, 3])
def test_renamed_stylesheet_is_sent_within_three_views_and_never_both_for_long(
    old_is_gone: bool, push: bool, visitors: int
) -> None:
    app = Site(OLD, "/app.css")
    with visited(app) as site:
        site.teach([OLD, "/app.css"], visitors=visitors)
        app.found[NEW] = app.found[OLD]
        if old_is_gone:
            del app.found[OLD]
        views: list[Load] = []
        for number in range(4):
            views.append(renamed_view(site, push, number))
            site.later()

    ahead = [[path for path in view.ahead if path != "/app.css"] for view in views]
    assert ahead[0] == [OLD]
    assert ahead[3] == [NEW]
    assert sum(OLD in paths and NEW in paths for paths in ahead) <= 1


def renamed_view(site: Visited, push: bool, number: int) -> Load:
    """The page now names the new one; a hint for whatever else is obeyed all the same."""
    address = f"127.0.0.{number + 2}"
    with site.client(address, push=push) as client:
        ahead = load(client, "/", [])
        wanted = {NEW, "/app.css", *ahead.ahead} - set(ahead.promised)
        referer = [(b"referer", b"http://localhost/")]
        for path in sorted(wanted):
            client.get(path.encode(), referer)
    return ahead


# Workers and restarts.

APP = "tests.visited_app:app"
PAGES = ["/one/", "/two/", "/three/"]


def worker_of(client: RawClient) -> bytes:
    """Which process answers on this connection."""
    return client.get(b"/who", [(b"if-none-match", b'"x"')]).body


def client_of(server: ServerProcess, wanted: Callable[[bytes], bool]) -> tuple[RawClient, bytes]:
    """A connection to a worker of whom `wanted` holds."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        client = RawClient(server.port)
        worker = worker_of(client)
        if wanted(worker):
            return client, worker
        client.socket.close()
    raise AssertionError("no such worker answers")


def promised(client: RawClient, page: str) -> list[str]:
    """Load a page alone, as a client never seen before."""
    agent = f"new {time.monotonic_ns()}".encode()
    return load(client, page, headers=[(b"accept", b"text/html"), (b"user-agent", agent)]).promised


def teach(port: int, page: str) -> None:
    """Load a page with its asset."""
    with RawClient(port) as client:
        load(client, page, [page + "style.css"], [(b"accept", b"text/html")])


def test_workers_learn_from_each_other_within_two_seconds(tmp_path: Path) -> None:
    store = ["--workers", "2", "--store", str(tmp_path / "map.db")]
    store += ["--timeout-worker-healthcheck", "60"]
    with serving(APP, *store, "--learn-control-share", "0") as server:
        teacher, first = client_of(server, lambda _: True)
        with teacher:
            load(teacher, "/one/", ["/one/style.css"], [(b"accept", b"text/html")])
        assert worker_of_another(server, first) == ["/one/style.css"]

    # One worker's turn to say it, another's to hear it; what a busy machine adds says nothing.
    assert 2 * TURN < 2.0


def worker_of_another(server: ServerProcess, teacher: bytes) -> list[str]:
    """What another worker than the teacher's pushes, as soon as it pushes something."""
    paths: list[str] = []

    def pushes() -> list[str]:
        client, _ = client_of(server, lambda worker: worker != teacher)
        with client:
            paths[:] = promised(client, "/one/")
        return paths

    until(pushes, "a push by the other worker", seldom=True)
    return paths


def test_restart_keeps_what_was_learned_last(tmp_path: Path) -> None:
    arguments = [APP, "--store", str(tmp_path / "map.db"), "--learn-control-share", "0"]
    with serving(*arguments) as server:
        teach(server.port, "/one/")
        server.terminate()
        assert server.wait() in (0, -signal.SIGTERM)
    with serving(*arguments) as server, RawClient(server.port) as client:
        assert promised(client, "/one/") == ["/one/style.css"]


def test_kill_9_loses_at_most_the_last_second(tmp_path: Path) -> None:
    path = tmp_path / "map.db"
    arguments = [APP, "--store", str(path), "--learn-control-share", "0"]
    with serving(*arguments) as server:
        teach(server.port, "/one/")
        until(lambda: kept(path), "the record in the file")
        server.process.kill()
        server.wait()
    with serving(*arguments) as server, RawClient(server.port) as client:
        assert promised(client, "/one/") == ["/one/style.css"]

    assert TURN < 1.0


def kept(path: Path) -> bool:
    """Whether a worker that started now would find something."""
    try:
        return bool(saved(path, warn=lambda line: None))
    except StoreError:
        return False


# WSGI.


def test_wsgi_application_gets_all_of_it(tmp_path: Path) -> None:
    site = ["tests.visited_wsgi:app", "--interface", "wsgi", "--learn-control-share", "0"]
    with serving(*site, "--store", str(tmp_path / "learned.sqlite3")) as server:
        port = server.port
        first = wsgi_load(port)
        loads_until_pushed(lambda: set(wsgi_load(port).promised))
        second = wsgi_load(port)
        with RawClient(port, NO_PUSH) as client:
            hinted = load(client, "/")

    assert (first.ahead, first.asked) == ([], ["/style.css", "/logo.svg"])
    assert (second.promised, second.asked) == (["/style.css", "/logo.svg"], [])
    assert second.page.body == b"<!doctype html>2"
    assert [link.target for link in hinted.hinted] == ["/style.css", "/logo.svg"]


def wsgi_load(port: int) -> Load:
    with RawClient(port) as client:
        return load(client, "/", ["/style.css", "/logo.svg"], [(b"accept", b"text/html")])
