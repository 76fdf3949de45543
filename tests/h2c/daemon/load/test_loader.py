"""Fetching a page with what it needs, from a server on the h2 library."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest

from headstart.client.errors import ConnectError
from headstart.client.origin import Origin
from headstart.h2c.daemon.load import links
from headstart.h2c.daemon.load.documents import Document
from headstart.h2c.daemon.load.loader import Loader, Settings
from headstart.h2c.daemon.load.resource import Load, Resource, Want
from headstart.h2c.daemon.session import Session
from headstart.h2c.options.connections import Trust
from tests.h2c.push_server import Page, PushServer, push_server

SETTINGS = Settings(
    fields=((b"user-agent", b"test"),),
    trust=Trust(),
    timeout=10.0,
    use_pushes=True,
    use_hints=True,
    max_resources=100,
    max_bytes=1_000_000,
)
FRESH = ((b"cache-control", b"max-age=60"),)
CSS = Page(b"", "text/css", fields=FRESH)
PRELOAD = b"</a.css>; rel=preload; as=style"


@pytest.fixture
def server() -> Iterator[PushServer]:
    with push_server() as running:
        yield running


@pytest.fixture
async def session() -> AsyncIterator[Session]:
    made = Session()
    yield made
    await made.close()


async def load(
    session: Session, server: PushServer, settings: Settings = SETTINGS, path: str = "/page"
) -> Load:
    async with Loader(session, settings, f"{server.origin}{path}") as loader:
        loader.page()
    assert loader.problem is None
    return loader.result


def named(result: Load) -> dict[str, Resource]:
    return {one.name: one for one in result.resources}


async def test_a_page_brings_what_it_links_and_that_what_it_links(
    session: Session, server: PushServer
) -> None:
    server.pages = {
        "/page": Page(b"<img src=i.png><script src=s.js></script><link rel=stylesheet href=a.css>"),
        "/a.css": Page(b"@import 'b.css'; a { b: url(p.png) }", "text/css"),
        "/b.css": Page(b"@font-face { src: url(f.woff2) } @import 'a.css';", "text/css"),
    }

    result = await load(session, server)

    assert server.requests[:4] == ["GET /page", "GET /a.css", "GET /s.js", "GET /i.png"]
    assert sorted(server.requests[4:]) == ["GET /b.css", "GET /f.woff2", "GET /p.png"]
    found = named(result)
    assert [found[name].kind for name in ("/page", "/a.css", "/s.js", "/f.woff2", "/p.png")] == [
        *("document", "style", "script", "font", "image")
    ]
    assert found["/f.woff2"].initiator == f"{server.origin}/b.css"
    assert all(one.way == "request" and one.used and one.is_good for one in result.resources)
    assert [made.origin for made in result.connections] == [server.origin]
    assert session.current().connection.origin == Origin.parse(server.origin)


async def test_times_and_sizes_are_those_of_each_response(
    session: Session, server: PushServer
) -> None:
    server.pages = {"/page": Page(b"<img src=i.png>"), "/i.png": Page(bytes(70_000), "image/png")}

    result = await load(session, server)

    page, image = result.resources
    assert (page.size, image.size, result.size) == (15, 70_000, 70_015)
    assert (page.media_type, image.media_type) == ("text/html", "image/png")
    for one in (page, image):
        assert one.responded is not None
        assert one.ended is not None
        assert 0 <= one.started <= one.responded <= one.ended <= result.duration
    assert result.connections[0].ended <= page.started


async def test_requests_are_those_of_a_browser_and_the_user_has_the_last_word(
    session: Session, server: PushServer
) -> None:
    server.pages = {"/page": Page(b"<link rel=stylesheet href=a.css><img src=i.png>")}
    fields = ((b"accept", b"image/x"), (b"cookie", b"a=1"))

    await load(session, server, replace(SETTINGS, fields=fields))

    page, style, image = (server.all_fields[name] for name in ("/page", "/a.css", "/i.png"))
    assert (page["sec-fetch-dest"], page["sec-fetch-mode"]) == ("document", "navigate")
    assert (style["sec-fetch-dest"], style["priority"]) == ("style", "u=0")
    assert (image["sec-fetch-dest"], image["priority"]) == ("image", "u=5, i")
    assert style["referer"] == f"{server.origin}/page"
    assert {page["accept"], style["accept"], page["cookie"], image["cookie"]} == {"image/x", "a=1"}


async def test_what_is_pushed_is_not_asked_for(session: Session, server: PushServer) -> None:
    server.pages = {
        "/page": Page(b"<link rel=stylesheet href=a.css>", pushes=("/a.css", "/b.css")),
        "/a.css": CSS,
        "/b.css": CSS,
    }

    result = await load(session, server)

    assert server.requests == ["GET /page"]
    found = named(result)
    assert (found["/a.css"].way, found["/a.css"].used) == ("push", True)
    assert (found["/b.css"].way, found["/b.css"].used) == ("push", False)
    assert result.wasted == [found["/b.css"]]
    waiting = session.current().connection.pushes.listing(session.current().connection.now())
    assert [pushed.target for pushed in waiting] == [b"/b.css"]


async def test_a_font_is_fetched_once_a_rule_of_any_stylesheet_names_its_family(
    session: Session, server: PushServer
) -> None:
    faces = b"".join(
        b"@font-face { font-family: %s; src: url(%s.woff2) }" % (name, name)
        for name in (b"sheet", b"style", b"page", b"unused")
    )
    server.pages = {
        "/page": Page(
            b"<link rel=stylesheet href=faces.css><link rel=stylesheet href=rules.css>"
            b"<style>a { font: 1em style }</style><p style='font-family: page'>"
        ),
        "/faces.css": Page(faces, "text/css"),
        "/rules.css": Page(b"b { font-family: Sheet }", "text/css", after=("GET /faces.css",)),
    }

    result = await load(session, server)

    fonts = {one.name for one in result.resources if one.kind == "font"}
    assert fonts == {"/sheet.woff2", "/style.woff2", "/page.woff2"}
    assert {one.initiator for one in result.resources if one.kind == "font"} == {
        f"{server.origin}/faces.css"
    }


async def test_pushes_are_passed_by_when_they_are_not_wanted(
    session: Session, server: PushServer
) -> None:
    server.pages = {
        "/page": Page(b"<link rel=stylesheet href=a.css>", pushes=("/a.css",)),
        "/a.css": CSS,
    }

    await load(session, server, replace(SETTINGS, use_pushes=False))

    assert server.requests == ["GET /page", "GET /a.css"]


async def test_what_a_103_names_is_fetched_before_the_page_is_there(
    session: Session, server: PushServer
) -> None:
    server.pages = {
        "/page": Page(b"<link rel=stylesheet href=a.css>", hints=(PRELOAD,), after=("GET /a.css",)),
        "/a.css": CSS,
    }

    result = await load(session, server)

    assert server.requests == ["GET /page", "GET /a.css"]
    style = named(result)["/a.css"]
    assert (style.way, style.used, style.reusable) == ("hint", True, True)
    assert [early.links for early in result.early] == [(f"{server.origin}/a.css",)]
    assert result.early[0].at <= style.started


async def test_a_hint_that_no_cache_may_keep_is_fetched_twice(
    session: Session, server: PushServer
) -> None:
    server.pages = {
        "/page": Page(b"<link rel=stylesheet href=a.css>", hints=(PRELOAD,), after=("GET /a.css",)),
        "/a.css": Page(b"", "text/css", fields=((b"cache-control", b"no-store"),)),
    }

    result = await load(session, server)

    assert server.requests == ["GET /page", "GET /a.css", "GET /a.css"]
    hinted, fetched = (one for one in result.resources if one.name == "/a.css")
    assert (hinted.way, hinted.used, hinted.reusable) == ("hint", False, False)
    assert (fetched.way, fetched.used) == ("request", True)


async def test_a_hint_that_the_page_does_not_use_is_wasted(
    session: Session, server: PushServer
) -> None:
    server.pages = {"/page": Page(hints=(PRELOAD,)), "/a.css": CSS}

    result = await load(session, server)

    assert [one.name for one in result.wasted] == ["/a.css"]


async def test_a_hint_under_way_is_waited_for_when_the_page_wants_it(
    session: Session, server: PushServer
) -> None:
    html = b"<link rel=stylesheet href=a.css><script src=s.js></script>"
    server.pages = {
        "/page": Page(html, hints=(PRELOAD,)),
        "/a.css": replace(CSS, after=("GET /s.js",)),
    }

    result = await load(session, server)

    assert server.requests.count("GET /a.css") == 1
    assert named(result)["/a.css"].used


async def test_a_hint_that_fails_is_asked_for_again_when_the_page_wants_it(
    session: Session, server: PushServer
) -> None:
    hint = b"</reset>; rel=preload; as=image"
    server.pages = {"/page": Page(b"<img src=/reset>", hints=(hint,), after=("GET /reset",))}

    result = await load(session, server)

    assert server.requests == ["GET /page", "GET /reset", "GET /reset"]
    assert [one.way for one in result.failed] == ["hint", "request"]


async def test_what_a_hint_links_is_wanted_once_the_page_uses_it(
    session: Session, server: PushServer
) -> None:
    links = b"</a.css>; rel=preload; as=style, </b.css>; rel=preload; as=style"
    server.pages = {
        "/page": Page(
            b"<link rel=stylesheet href=a.css>", hints=(links,), after=("GET /a.css", "GET /b.css")
        ),
        "/a.css": replace(CSS, body=b"a { b: url(used.png) }"),
        "/b.css": replace(CSS, body=b"a { b: url(unused.png) }"),
    }

    await load(session, server)

    assert server.requests == ["GET /page", "GET /a.css", "GET /b.css", "GET /used.png"]


async def test_a_link_field_of_the_page_names_as_well(session: Session, server: PushServer) -> None:
    server.pages = {
        "/page": Page(b"<link rel=stylesheet href=a.css>", fields=((b"link", PRELOAD),)),
        "/a.css": replace(CSS, fields=()),
    }

    result = await load(session, server)

    assert server.requests == ["GET /page", "GET /a.css"]
    assert (named(result)["/a.css"].way, named(result)["/a.css"].used) == ("hint", True)


async def test_hints_are_ignored_when_they_are_not_wanted(
    session: Session, server: PushServer
) -> None:
    server.pages = {"/page": Page(hints=(PRELOAD,), fields=((b"link", PRELOAD),))}

    result = await load(session, server, replace(SETTINGS, use_hints=False))

    assert server.requests == ["GET /page"]
    assert len(result.early) == 1


async def test_a_preconnect_makes_a_connection_and_its_failure_is_nobodys(
    session: Session, server: PushServer
) -> None:
    with push_server() as other:
        links = f"<{other.origin}>; rel=preconnect, <http://127.0.0.1:1>; rel=preconnect"
        server.pages = {"/page": Page(hints=(links.encode(),))}

        result = await load(session, server)

        assert {made.origin for made in result.connections} == {server.origin, other.origin}
        assert session.current().connection.origin == Origin.parse(server.origin)


async def test_what_is_elsewhere_is_fetched_there(session: Session, server: PushServer) -> None:
    with push_server() as other:
        server.pages = {"/page": Page(f"<img src='{other.origin}/i.png'>".encode())}
        fields = ((b"user-agent", b"test"), (b"cookie", b"secret"), (b"authorization", b"secret"))

        await load(session, server, replace(SETTINGS, fields=fields))

        assert other.requests == ["GET /i.png"]
        assert server.fields["cookie"] == "secret"
        assert other.fields["user-agent"] == "test"
        assert {"referer", "cookie", "authorization"}.isdisjoint(other.fields)


def redirection(location: bytes) -> Page:
    return Page(status=302, fields=((b"location", location),))


async def test_redirections_are_followed_and_loops_end(
    session: Session, server: PushServer
) -> None:
    server.pages = {
        "/page": redirection(b"/dir/"),
        "/dir/": Page(b"<img src=loop><img src=none>"),
        "/dir/loop": redirection(b"loop"),
        "/dir/none": redirection(b"ftp://x"),
    }

    result = await load(session, server)

    assert server.requests == ["GET /page", "GET /dir/", "GET /dir/loop", "GET /dir/none"]
    assert [one.status for one in result.resources] == [302, 200, 302, 302]
    (failed,) = result.failed
    assert failed.error == f"the redirections lead back to {server.origin}/dir/loop"


async def test_page_that_only_redirects_in_a_circle_is_the_problem(
    session: Session, server: PushServer
) -> None:
    server.pages = {"/page": redirection(b"/b"), "/b": redirection(b"/page")}

    async with Loader(session, SETTINGS, f"{server.origin}/page") as loader:
        loader.page()

    assert server.requests == ["GET /page", "GET /b"]
    assert str(loader.problem) == f"the redirections lead back to {server.origin}/page"


async def test_page_that_redirects_on_and_on_is_given_up(
    session: Session, server: PushServer
) -> None:
    server.pages = {f"/{n}": redirection(b"/%d" % (n + 1)) for n in range(99)}

    async with Loader(session, SETTINGS, f"{server.origin}/0") as loader:
        loader.page()

    assert len(server.requests) == 21
    assert str(loader.problem) == "there are more than 20 redirections"


async def test_two_resources_may_redirect_to_one(session: Session, server: PushServer) -> None:
    server.pages = {
        "/page": Page(b"<img src=/a><img src=/b>"),
        "/a": redirection(b"/c"),
        "/b": redirection(b"/c"),
        "/c": Page(b"", "image/png"),
    }

    result = await load(session, server)

    assert server.requests == ["GET /page", "GET /a", "GET /b", "GET /c"]
    assert result.failed == []


@pytest.mark.parametrize(
    ("location", "target"),
    [
        (b"/caf\xc3\xa9?x=\xc3\xbc", "/caf%C3%A9?x=%C3%BC"),
        (b"/caf\xe9", "/caf%E9"),
        (b"/a%20b|c d", "/a%20b|c%20d"),
        (b"?q#fragment", "/page?q"),
    ],
)
async def test_location_is_read_as_browsers_do(
    location: bytes, target: str, session: Session, server: PushServer
) -> None:
    server.pages = {"/page": redirection(location)}

    await load(session, server)

    assert server.requests == ["GET /page", f"GET {target}"]


async def test_a_resource_that_fails_harms_no_other(session: Session, server: PushServer) -> None:
    html = b"<img src=/half><img src=/ok><img src='http://127.0.0.1:1/x'><img src=/gone>"
    server.pages = {"/page": Page(html), "/gone": Page(status=404)}

    result = await load(session, server)

    assert [one.name for one in result.failed] == ["/half", "/x"]
    found = named(result)
    assert (found["/half"].size, found["/half"].status) == (4, 200)
    assert (found["/gone"].status, found["/gone"].is_good) == (404, False)
    assert found["/ok"].is_good


async def test_a_page_that_does_not_come_is_the_problem(session: Session) -> None:
    async with Loader(session, SETTINGS, "http://127.0.0.1:1/") as loader:
        loader.page()

    assert isinstance(loader.problem, ConnectError)


async def test_no_more_is_fetched_than_is_allowed(session: Session, server: PushServer) -> None:
    server.pages = {"/page": Page(b"<img src=1><img src=2><img src=3>")}

    result = await load(session, server, replace(SETTINGS, max_resources=2))

    assert server.requests == ["GET /page", "GET /1"]
    assert len(result.skipped) == 2


async def test_other_work_goes_on_while_content_is_read_for_links(
    session: Session, server: PushServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.pages = {"/page": Page(b"<img src=i.png>"), "/i.png": Page(b"", "image/png")}
    loop = asyncio.get_running_loop()
    turned: list[bool] = []

    class Waiting(Document):
        def feed(self, data: bytes, *, final: bool = False) -> list[Want]:
            turn = threading.Event()
            loop.call_soon_threadsafe(turn.set)
            turned.append(turn.wait(90))
            return super().feed(data, final=final)

    monkeypatch.setattr(links, "Document", Waiting)
    result = await load(session, server)

    assert len(result.resources) == 2
    assert turned
    assert all(turned)


async def test_no_more_bytes_are_taken_than_are_allowed(
    session: Session, server: PushServer
) -> None:
    server.pages = {"/page": Page(b"<img src=i>"), "/i": Page(bytes(200_000), unfinished=True)}

    result = await load(session, server, replace(SETTINGS, max_bytes=100_000))

    (image,) = result.failed
    assert "--max-bytes" in image.error
    while not server.resets:
        await asyncio.sleep(0.01)
    assert server.resets == [8]


async def test_cancelling_resets_all_that_is_under_way(
    session: Session, server: PushServer
) -> None:
    server.pages = {"/page": Page(b"<img src=1><img src=2>" + b" " * 1100, unfinished=True)}
    server.pages |= {"/1": Page(unfinished=True), "/2": Page(unfinished=True)}
    loading = asyncio.ensure_future(load(session, server))
    while len(server.requests) < 3:
        await asyncio.sleep(0.01)

    loading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await loading

    while len(server.resets) < 3:
        await asyncio.sleep(0.01)
    assert server.resets == [8, 8, 8]
    assert session.current().connection.available
