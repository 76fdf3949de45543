"""`h2c load`, and `get --follow-hints`."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from hyperframe.frame import HeadersFrame

from headstart import __version__
from headstart.client.errors import ConnectError, RequestError
from headstart.client.origin import Origin
from headstart.h2c import exits, options
from headstart.h2c.daemon.conversation import Request
from headstart.h2c.daemon.load.command import load
from headstart.h2c.daemon.requesting import exchange
from headstart.h2c.daemon.session import Link, Session
from headstart.h2c.failures import NotConnectedError
from headstart.h2c.options.loading import LoadPage
from headstart.h2c.options.requests import RequestCommand
from tests.h2c.frame_server import Connection, frame_server
from tests.h2c.push_server import Page, PushServer, push_server
from tests.h2c.recorder import Recorder


@pytest.fixture
def site() -> Iterator[PushServer]:
    with push_server() as running:
        running.pages = {"/page": Page(b"<img src=i.png>"), "/i.png": Page(b"image", "image/png")}
        yield running


@pytest.fixture
async def fresh() -> AsyncIterator[Session]:
    made = Session()
    yield made
    await made.close()


async def run(
    fresh: Session, recorder: Recorder, *arguments: str, width: int = 90, to_terminal: bool = True
) -> int:
    command = options.parse(["load", *arguments])
    assert isinstance(command, LoadPage)
    request = Request(__version__, "/", to_terminal, True, arguments, True, True, width)
    return await load(command, fresh, recorder, request)


async def test_it_shows_a_waterfall_and_the_sum(fresh: Session, site: PushServer) -> None:
    recorder = Recorder()

    assert await run(fresh, recorder, f"{site.origin}/page") == exits.OK

    heading, connecting, page, image, _, total = recorder.output.decode().splitlines()
    assert heading.startswith("RESOURCE")
    assert connecting.startswith("connect 127.0.0.1:")
    assert page.split()[:5] == ["/page", "200", "15", "B", "request"]
    assert image.split()[:5] == ["/i.png", "200", "5", "B", "request"]
    assert total.startswith("2 resources, 20 B in ")
    assert recorder.messages == []


async def test_without_push_it_shows_what_a_client_that_takes_none_gets(
    fresh: Session, site: PushServer
) -> None:
    link, kept = b"</i.png>; rel=preload; as=image", (b"cache-control", b"max-age=60")
    site.pages["/i.png"] = Page(b"image", "image/png", fields=(kept,))
    site.pages["/page"] = Page(b"<img src=i.png>", hints=(link,), pushes=("/i.png",))
    pushed, hinted = Recorder(), Recorder()
    await run(fresh, pushed, f"{site.origin}/page")
    [(before, _)] = fresh.links()

    assert await run(fresh, hinted, "/page", "--no-push") == exits.OK

    assert pushed.output.decode().splitlines()[3].split()[:5] == ["/i.png", "200", "5", "B", "push"]
    image = hinted.output.decode().splitlines()[3]
    assert image.split()[:5] == ["/i.png", "200", "5", "B", "hint"]
    # The connection with pushes stays the current one.
    assert fresh.links() == [(before, True)]
    assert not before.connection.closed


async def test_a_path_like_a_host_is_told_by_all_commands(fresh: Session, site: PushServer) -> None:
    site.pages["/nosuch.example"] = Page(b"")
    await run(fresh, Recorder(), f"{site.origin}/page")
    recorder = Recorder()

    await run(fresh, recorder, "nosuch.example")
    command = options.parse(["get", "nosuch.example"])
    assert isinstance(command, RequestCommand)
    await exchange(command, fresh, recorder, Request(__version__, "/", False, False, ()))

    told = exits.TAKEN_FOR_PATH.format("nosuch.example", site.origin)
    assert recorder.messages == [told, told]


@pytest.mark.parametrize("to_terminal", [True, False])
async def test_the_sum_fits_a_narrow_terminal_and_is_one_line_elsewhere(
    to_terminal: bool, fresh: Session, site: PushServer
) -> None:
    recorder = Recorder()

    await run(fresh, recorder, f"{site.origin}/page", width=50, to_terminal=to_terminal)

    _, _, _, _, _, *told = recorder.output.decode().splitlines()
    assert len(told) == (2 if to_terminal else 1)
    assert " ".join(told).split()[-6:] == ["2", "requested,", "0", "hinted,", "0", "pushed"]
    assert not to_terminal or max(map(len, told)) <= 50


async def test_a_path_is_on_the_current_connection(fresh: Session, site: PushServer) -> None:
    with pytest.raises(NotConnectedError):
        await run(fresh, Recorder(), "/page")
    await run(fresh, Recorder(), f"{site.origin}/page")
    recorder = Recorder()

    assert await run(fresh, recorder, "page", "--json") == exits.OK

    told = json.loads(recorder.output)
    assert told["url"] == f"{site.origin}/page"
    assert told["connections"] == []
    assert len(told["resources"]) == 2


async def test_a_picture_goes_to_its_file_and_the_text_to_the_terminal(
    fresh: Session, site: PushServer
) -> None:
    recorder = Recorder()

    await run(fresh, recorder, f"{site.origin}/page", "--waterfall", "page.svg")

    assert recorder.opened == ["page.svg"]
    picture, text = recorder.output.split(b"\n</svg>\n")
    assert picture.startswith(b"<?xml")
    assert b"RESOURCE" not in picture
    assert text.startswith(b"RESOURCE")
    assert recorder.closed == len(picture) + len(b"\n</svg>\n")


async def test_fields_are_those_that_are_set_and_typed(fresh: Session, site: PushServer) -> None:
    fresh.fields += [(b"a", b"set"), (b"b", b"set")]

    await run(fresh, Recorder(), f"{site.origin}/page", "-H", "A: typed")

    for fields in site.all_fields.values():
        assert (fields["a"], fields["b"]) == ("typed", "set")


async def test_what_did_not_come_is_exit_code_1(fresh: Session, site: PushServer) -> None:
    site.pages["/page"] = Page(b"<img src=/reset><img src=i.png>")
    recorder = Recorder()

    assert await run(fresh, recorder, f"{site.origin}/page") == exits.REQUEST_FAILED

    assert recorder.messages == [exits.NOT_ALL_CAME.format(1, 3)]
    assert b"failed: /reset: " in recorder.output


@pytest.mark.parametrize(("arguments", "code"), [([], exits.OK), (["--fail"], 1)])
async def test_a_bad_status_is_one_when_asked_for(
    arguments: list[str], code: int, fresh: Session, site: PushServer
) -> None:
    site.pages["/i.png"] = Page(status=404)

    assert await run(fresh, Recorder(), f"{site.origin}/page", *arguments) == code


async def test_a_page_that_cannot_be_reached_has_its_own_exit_code(fresh: Session) -> None:
    recorder = Recorder()

    assert await run(fresh, recorder, "http://127.0.0.1:1/") == exits.NOT_CONNECTED

    (message,) = recorder.messages
    assert "refuses the connection" in message
    assert recorder.output == b""


@pytest.mark.parametrize("circle", ["the page", "an image"])
async def test_redirections_in_a_circle_are_a_request_that_failed(
    circle: str, fresh: Session, site: PushServer
) -> None:
    path = "/page" if circle == "the page" else "/i.png"
    site.pages[path] = Page(status=302, fields=((b"location", path.encode()),))
    recorder = Recorder()

    code = await run(fresh, recorder, f"{site.origin}/page")

    assert code == exits.REQUEST_FAILED
    told = recorder.output.decode() + "".join(recorder.messages)
    assert f"the redirections lead back to {site.origin}{path}" in told


class Ordered(Recorder):
    """Keeps how much had been written when something was said."""

    written = -1

    async def say(self, message: str) -> None:
        self.written = len(self.output)
        await super().say(message)


async def test_json_of_a_page_that_cannot_be_reached_comes_after_the_error(
    fresh: Session,
) -> None:
    recorder = Ordered()

    code = await run(fresh, recorder, "http://127.0.0.1:1/", "--json")

    assert code == exits.NOT_CONNECTED
    assert recorder.written == 0
    (resource,) = json.loads(recorder.output)["resources"]
    assert "refuses the connection" in resource["error"]


async def test_a_page_that_cannot_be_reached_replaces_no_picture(fresh: Session) -> None:
    recorder = Recorder()

    code = await run(fresh, recorder, "http://127.0.0.1:1/", "--waterfall", "page.svg")

    assert code == exits.NOT_CONNECTED
    assert (recorder.output, recorder.closed) == (b"", 0)


async def test_insecure_is_said(fresh: Session, site: PushServer) -> None:
    recorder = Recorder()

    await run(fresh, recorder, f"{site.origin}/page", "--insecure")

    assert recorder.messages == [exits.INSECURE.format(site.origin)]


FRESH = ((b"cache-control", b"max-age=60"),)


async def get(session: Session, *arguments: str) -> tuple[bytes, list[str]]:
    command = options.parse(["get", *arguments])
    assert isinstance(command, RequestCommand)
    recorder = Recorder()
    request = Request(__version__, "/", False, False, arguments)
    assert await exchange(command, session, recorder, request) == 0
    return recorder.output, recorder.messages


def hinting(*links: bytes, after: tuple[str, ...] = ()) -> Page:
    return Page(b"page", hints=links, after=after)


async def test_what_a_103_names_is_fetched_at_once_and_waits_for_the_next_get(
    session: Session, server: PushServer
) -> None:
    server.pages = {
        "/": hinting(b"</a.css>; rel=preload; as=style", after=("GET /a.css",)),
        "/a.css": Page(b"@import 'b.css';", "text/css", fields=FRESH),
    }

    content, messages = await get(session, "--follow-hints", "/")

    assert content == b"page"
    (line,) = messages
    assert line.startswith("hinted: /a.css: 200, 16 B in ")
    assert line.endswith(", waits for the next get")
    assert server.all_fields["/"]["accept"].startswith("text/html")
    assert server.all_fields["/a.css"]["sec-fetch-dest"] == "style"
    assert await get(session, "-v", "/a.css") == (
        b"@import 'b.css';",
        ["200, hinted and fetched on stream 3"],
    )
    assert server.requests == ["GET /", "GET /a.css"]
    await get(session, "/a.css")
    assert server.requests[2:] == ["GET /a.css"]


@pytest.mark.parametrize(
    "arguments", [["--no-push-cache"], ["--data", "x"], ["-H", "range: bytes=0-1"]]
)
async def test_another_request_is_sent(
    arguments: list[str], session: Session, server: PushServer
) -> None:
    server.pages = {
        "/": hinting(b"</a.css>; rel=preload; as=style"),
        "/a.css": Page(b"css", "text/css", fields=FRESH),
    }
    await get(session, "--follow-hints", "/")

    await get(session, *arguments, "/a.css")

    assert server.requests.count("GET /a.css") == 2


async def test_what_no_cache_may_keep_is_fetched_and_not_kept(
    session: Session, server: PushServer
) -> None:
    server.pages = {
        "/": hinting(b"</a.js>; rel=modulepreload"),
        "/a.js": Page(b"", "text/javascript", fields=((b"cache-control", b"no-store"),)),
    }

    _, messages = await get(session, "--follow-hints", "/")

    assert messages[0].endswith("not kept, since its status or Cache-Control forbids it")
    assert len(session.hinted) == 0


async def test_what_is_pushed_is_not_asked_for(session: Session, server: PushServer) -> None:
    server.pages = {
        "/first": Page(pushes=("/a.css",)),
        "/": hinting(b"</a.css>; rel=preload; as=style"),
        "/a.css": Page(b"", "text/css", fields=FRESH),
    }
    await get(session, "/first")

    _, messages = await get(session, "--follow-hints", "/")

    assert server.requests == ["GET /first", "GET /"]
    assert messages[0].endswith("was pushed")


async def test_what_fails_is_told_and_harms_nothing(session: Session, server: PushServer) -> None:
    server.pages = {"/": hinting(b"</reset>; rel=preload; as=image", after=("GET /reset",))}

    content, messages = await get(session, "--follow-hints", "/")

    assert content == b"page"
    assert messages[0].startswith("hinted: /reset: the server reset stream 3")


async def test_without_the_option_nothing_is_fetched(session: Session, server: PushServer) -> None:
    server.pages = {"/": hinting(b"</a.css>; rel=preload; as=style")}

    await get(session, "/")

    assert server.requests == ["GET /"]


@pytest.mark.parametrize(
    ("link", "why"),
    [
        (b"</a.css>; rel=preload", "it has no 'as', and browsers then ignore a preload"),
        (b"</a.css>; rel=preload; as=video", "as='video' is unknown, and browsers then"),
        (b"</a.css>; rel=prefetch", "rel='prefetch' asks for nothing; preload,"),
        (b"</a.css>; rel=preload; as=style; anchor='x'", "it has an anchor, so it is not a"),
        (b"<ftp://a/a.css>; rel=preload; as=style", "it is not a URL that is fetched"),
    ],
)
async def test_hint_that_is_not_followed_is_explained_with_v_and_by_load(
    link: bytes, why: str, session: Session, server: PushServer
) -> None:
    server.pages = {"/": hinting(link, b"</b.css>; rel=preload; as=style"), "/b.css": Page(b"")}

    _, (hinted,) = await get(session, "--follow-hints", "/")
    _, (_, _, explained) = await get(session, "-v", "--follow-hints", "/")
    recorder = Recorder()
    await run(session, recorder, "/", to_terminal=False)

    assert hinted.startswith("hinted: /b.css: ")
    target = link.partition(b">")[0].decode()
    assert explained.startswith(f"hint not followed: {target}>: {why}")
    assert explained in recorder.output.decode().splitlines()


async def test_v_says_why_there_was_no_hint(session: Session, server: PushServer) -> None:
    server.pages = {
        "/": Page(b"page"),
        "/pushed": Page(b"page", pushes=("/a.css",)),
        "/bare": hinting(b""),
        "/a.css": Page(b"", "text/css", fields=FRESH),
        "/hinting": hinting(b"</a.css>; rel=preload; as=style"),
    }

    said = [
        (await get(session, "-v", "--follow-hints", page))[1] for page in ("/", "/pushed", "/bare")
    ]
    await get(session, "--no-push-cache", "--follow-hints", "/hinting")
    _, quiet = await get(session, "--follow-hints", "/")

    none = "no 103 came, so there were no hints to follow"
    assert none in said[0]
    assert f"{none}; the server pushed instead: `h2c push-list`" in said[1]
    assert "a 103 came, but it names nothing" in said[2]
    assert quiet == []


async def test_page_that_waits_itself_gets_no_hint_and_v_says_so(
    session: Session, server: PushServer
) -> None:
    server.pages = {
        "/": hinting(b"</a.css>; rel=preload; as=style"),
        "/a.css": Page(b"", "text/css", fields=FRESH),
    }
    await get(session, "--follow-hints", "/")

    _, messages = await get(session, "-v", "--follow-hints", "/a.css")

    assert messages[0].startswith("the response was hinted before, so nothing is asked")


async def test_page_that_fails_is_told_as_without_the_option(session: Session) -> None:
    def act(connection: Connection, stream_id: int, _: str) -> None:
        hint = connection.block(103, ("link", "</a.css>; rel=preload; as=style"))
        connection.send(HeadersFrame(stream_id, hint, flags=["END_HEADERS"]))
        connection.close()

    with frame_server() as server:
        server.on_request = act

        with pytest.raises(RequestError, match="the connection is over"):
            await get(session, "--follow-hints", f"{server.origin}/")
        await session.disconnect()


async def test_preconnects_have_a_bound(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Origin] = []
    links = ",".join(f"<http://{number}.test>; rel=preconnect" for number in range(100))
    connect = session.use

    def act(connection: Connection, stream_id: int, _: str) -> None:
        hint = connection.block(103, ("link", links))
        connection.send(HeadersFrame(stream_id, hint, flags=["END_HEADERS"]))
        connection.answer(stream_id, b"page")

    async def use(origin: Origin, *arguments: Any, **more: Any) -> Link:
        if not origin.host.endswith(".test"):
            return await connect(origin, *arguments, **more)
        asked.append(origin)
        raise ConnectError("no such host")

    monkeypatch.setattr(session, "use", use)
    with frame_server() as server:
        server.on_request = act
        content, _ = await get(session, "--follow-hints", f"{server.origin}/")
        await session.disconnect()

    assert content == b"page"
    assert len(asked) == len(set(asked)) == 30
