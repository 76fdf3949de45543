"""The small site: a page that thinks, eleven assets, and a table of what was sent ahead."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from headstart.demo.site import ASSETS, THINK_SECONDS, site
from tests.server.apps import Message, Scope
from tests.server.live import LiveServer, running
from tests.server.raw import RawClient


@pytest.fixture(scope="module")
def server() -> Iterator[LiveServer]:
    with running(site, lifespan="off") as live:
        yield live


@pytest.fixture
def client(server: LiveServer) -> Iterator[RawClient]:
    with RawClient(server.port) as raw:
        yield raw


def test_page_takes_its_time_and_is_not_kept(client: RawClient) -> None:
    began = time.monotonic()
    page = client.get(b"/site/")

    assert time.monotonic() - began >= THINK_SECONDS
    assert page.status == 200
    assert page.header(b"content-type") == b"text/html; charset=utf-8"
    assert page.header(b"cache-control") == b"no-store"


def test_page_and_stylesheet_name_every_asset_and_each_is_there(client: RawClient) -> None:
    page = client.get(b"/site/").body.decode()
    style = client.get(b"/site/style.css").body.decode()
    named = re.findall(r'(?:src|href)="([^"]+)"', page) + re.findall(r"url\(([^)]+)\)", style)

    assert sorted(named) == sorted(ASSETS)
    assert len(named) == 11
    for name in named:
        response = client.get(f"/site/{name}".encode())
        kind, content = ASSETS[name]
        assert (response.status, response.body) == (200, content)
        assert response.header(b"content-type") == kind.encode()
        assert response.header(b"cache-control") == b"public, max-age=600"


def test_there_is_nothing_else_and_nothing_to_change(client: RawClient) -> None:
    assert client.get(b"/site/other.css").status == 404
    refused = client.response(client.request(b"/site/style.css", method=b"POST", body=b"x"))
    assert (refused.status, refused.header(b"allow")) == (405, b"GET, HEAD")


async def page_for(decisions: object) -> str:
    """The page, for what the middleware decided."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request"}

    scope: Scope = {"type": "http", "method": "GET", "path": "/site/"}
    if decisions is not None:
        scope["headstart.decisions"] = decisions
    await site(scope, receive, send)
    text: bytes = sent[1]["body"]
    return text.decode()


@pytest.mark.parametrize("decisions", [None, []], ids=["no middleware", "nothing known"])
async def test_page_says_that_nothing_was_sent_ahead(decisions: object) -> None:
    assert "Nothing: the server is still learning" in await page_for(decisions)


async def test_table_says_what_was_sent_how_and_why_and_trusts_no_path() -> None:
    candidate = SimpleNamespace(target="/site/<b>.css", probability=0.875)
    decision = SimpleNamespace(candidate=candidate, way="push", reason="page")
    page = await page_for([decision])

    row = '<tr data-asset="/site/&lt;b&gt;.css" data-way="push">'
    assert row + "<td>/site/&lt;b&gt;.css<td>push<td>0.88<td>page" in page
    assert "<b>.css" not in page


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("already-sent", "A private window is a new visitor."),
        ("no-subresources", "this browser loaded no assets"),
        ("<control>", "Nothing: &lt;control&gt;"),
    ],
)
async def test_page_says_why_nothing_was_sent_ahead(reason: str, said: str) -> None:
    decision = SimpleNamespace(way="nothing", reason=reason)
    page = await page_for([decision, decision])

    assert page.count(said) == 1
    assert "<table" not in page
