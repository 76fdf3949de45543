"""HTML on its way through the middleware: read afterwards, and passed on as it is."""

from __future__ import annotations

import gzip
from typing import Any

import pytest

from headstart.config import DeliverOptions
from headstart.learn import Judgement, LearnOptions
from headstart.middleware import HeadstartMiddleware, keeper
from tests.counting import calls_of
from tests.middleware.served import HINT, NAVIGATION, PROGRAM, Served, Wire, ours, scope_of
from tests.server.apps import Headers, Receive, Scope, Send, body, start
from tests.visits import answer_head

ORIGIN = "https://example.test"
PAGE = b"<!doctype html><link rel=stylesheet href=/a.css><script type=module src=/b.js></script>"
HTML: Headers = [(b"content-type", b"text/html; charset=utf-8")]
VISITOR: Headers = NAVIGATION[:3]
# A robot of the kind that asks for anything.
ROBOT: Headers = [(b"user-agent", b"robot/1.0"), (b"accept", b"*/*")]


class Page:
    """An application that answers each path with one page, in parts."""

    def __init__(self, *parts: bytes, fields: Headers = HTML, status: int = 200) -> None:
        self.parts = parts or (PAGE,)
        self.fields = fields
        self.status = status

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send(start(self.status, self.fields))
        for part in self.parts[:-1]:
            await send(body(part, more_body=True))
        await send(body(self.parts[-1]))


def sent(served: Served, path: str = "/page") -> list[str]:
    candidates = served.middleware.learner.candidates(ORIGIN, path)
    return sorted(candidate.target for candidate in candidates)


async def passes(
    app: Any, headers: Headers = VISITOR, target: str = "/page", **more: Any
) -> Served:
    served = Served(app)
    await served.get(target, headers, **more)
    await served.later()
    return served


@pytest.mark.parametrize(
    ("headers", "extensions"),
    [(VISITOR, ours()), (VISITOR, None), (PROGRAM, ours()), (ROBOT, ours()), (ROBOT, None)],
)
async def test_one_response_teaches_whoever_asked_for_it(
    headers: Headers, extensions: dict[str, Any] | None
) -> None:
    served = await passes(Page(), headers, extensions=extensions)

    assert sent(served) == ["/a.css", "/b.js"]
    assert {row.why for row in served.middleware.learner.rows()} == {Judgement.NAMED}


@pytest.mark.parametrize(
    "parts",
    [
        (PAGE,),
        tuple(PAGE[at : at + 1] for at in range(len(PAGE))),
        (PAGE, b""),
        (bytearray(PAGE),),
        (b"", PAGE + b"x" * 300_000),
    ],
)
async def test_the_body_is_passed_on_as_it_came_part_by_part(parts: tuple[bytes, ...]) -> None:
    served = Served(Page(*parts), deliver=DeliverOptions(server_timing=False))

    wire = await served.get("/page", VISITOR)

    bodies = [message["body"] for message in wire.of("http.response.body")]
    assert bodies == list(parts)
    assert all(got is part for got, part in zip(bodies, parts, strict=True))
    assert wire.headers == HTML
    await served.later()
    assert sent(served) == ["/a.css", "/b.js"]


async def test_a_part_goes_out_before_the_next_one_is_made() -> None:
    seen: list[int] = []

    async def streams(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start(200, HTML))
        for at in range(3):
            await send(body(b"<p>%d" % at, more_body=at < 2))
            seen.append(len(wire.messages))

    served, wire = Served(streams), Wire()
    await served.get("/page", VISITOR, wire=wire)

    assert seen == [2, 3, 4]


async def test_a_coded_body_is_read_and_not_changed() -> None:
    coded = gzip.compress(PAGE)
    served = Served(Page(coded, fields=[*HTML, (b"Content-Encoding", b"gzip"), (b"etag", b'"x"')]))

    wire = await served.get("/page", VISITOR)
    await served.later()

    assert wire.of("http.response.body")[0]["body"] is coded
    assert sent(served) == ["/a.css", "/b.js"]


@pytest.mark.parametrize(
    ("fields", "headers", "status"),
    [
        (HTML, [*VISITOR, (b"cookie", b"session=alice")], 200),
        (HTML, [*VISITOR, (b"authorization", b"Basic YTpi")], 200),
        ([*HTML, (b"cache-control", b"private")], VISITOR, 200),
        ([*HTML, (b"cache-control", b"no-store")], VISITOR, 200),
        ([*HTML, (b"set-cookie", b"session=alice")], VISITOR, 200),
        ([*HTML, (b"vary", b"*")], VISITOR, 200),
        ([(b"content-type", b"application/json")], VISITOR, 200),
        (HTML, VISITOR, 404),
        (HTML, VISITOR, 500),
    ],
)
async def test_one_client_s_own_page_teaches_nobody_else(
    fields: Headers, headers: Headers, status: int
) -> None:
    served = Served(Page(fields=fields, status=status))

    for _ in range(10):
        await served.get("/page", headers)
        await served.later()

    assert sent(served) == []


async def test_a_page_made_by_its_query_needs_two_clients() -> None:
    served = Served(Page())
    for at in range(10):
        await served.get(f"/page?q={at}", VISITOR)
        await served.later()
    assert sent(served) == []

    await served.get("/page?q=x", VISITOR, client=("198.51.100.9", 4000))
    await served.later()

    assert sent(served) == ["/a.css", "/b.js"]


async def test_a_new_version_is_known_after_one_response() -> None:
    app = Page()
    served = await passes(app)

    app.parts = (PAGE.replace(b"/b.js", b"/b2.js"),)
    await served.get("/page", VISITOR)
    await served.later()

    assert sent(served) == ["/a.css", "/b2.js"]


async def test_a_103_connects_to_other_origins_that_two_clients_were_shown() -> None:
    page = Page(PAGE + b"<script type=module src=//cdn.example/x.js></script>")
    style = Page(b"p {}", fields=answer_head("text/css"))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await (style if scope["path"] == "/a.css" else page)(scope, receive, send)

    served = Served(app)
    hinted = []
    for at in (1, 2, 3):
        wire = await served.load(
            ["/a.css"], ours(at) | HINT, page="/page", headers=VISITOR, client=(f"192.0.2.{at}", 4)
        )
        hinted.append([link for links in wire.hinted for link in links])
        await served.later()

    style_link = b'</a.css>; rel=preload; as=style; type="text/css"'
    connect = b"<https://cdn.example>; rel=preconnect; crossorigin"
    assert hinted == [[], [style_link], [style_link, connect]]


async def test_reading_can_be_switched_off() -> None:
    served = Served(Page(), learn=LearnOptions(read_pages=False))

    await served.get("/page", VISITOR)
    await served.later()

    assert served.middleware.shared.reader is None
    assert sent(served) == []


async def test_a_body_that_the_middleware_does_not_see_teaches_nothing() -> None:
    async def sends_file(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start(200, HTML))
        await send({"type": "http.response.pathsend", "path": "/x.html"})
        await send(body(PAGE))

    served = await passes(sends_file)

    assert sent(served) == []


async def test_a_turn_reads_so_long_and_leaves_the_rest_for_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(keeper, "_READ_SECONDS", 0.0)
    served = Served(Page())
    for at in range(3):
        await served.get(f"/p{at}", VISITOR)

    known = []
    for _ in range(3):
        await served.later()
        known.append(sum(sent(served, f"/p{at}") != [] for at in range(3)))

    assert known == [1, 2, 3]


def calls_for(middleware: HeadstartMiddleware, scope: Scope) -> int:
    """Return how many functions are called for one page that passes the middleware."""

    async def receive() -> Any:
        raise AssertionError("a page reads nothing")

    async def send(message: Any) -> None:
        pass

    def run() -> None:
        with pytest.raises(StopIteration):  # and waits for nothing
            middleware(scope, receive, send).__await__().send(None)

    run()  # imports and caches
    return calls_of(run)


async def test_a_page_that_passes_costs_a_few_calls_for_each_part_of_its_body() -> None:
    calls = {}
    for parts in (1, 6):
        for read in (False, True):
            page = Page(*[PAGE + b"x" * 16_000] * parts)
            served = Served(page, learn=LearnOptions(read_pages=read))
            await served.middleware.start()
            calls[parts, read] = calls_for(served.middleware, scope_of("/page", VISITOR, ours()))
            await served.middleware.stop()

    for_one, for_six = (calls[parts, True] - calls[parts, False] for parts in (1, 6))
    assert 0 < for_one < 90
    assert for_six - for_one <= 5 * 15


SHEET = b"@font-face { src: url(/f.woff2) }"


class Styled(Page):
    """Pages with a stylesheet that names a font."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        contents = {"/a.css": (b"text/css", SHEET), "/f.woff2": (b"font/woff2", b"f")}
        if (found := contents.get(scope["path"])) is not None:
            self.parts, self.fields = (found[1],), answer_head(found[0].decode())
        else:
            self.parts, self.fields = (PAGE,), HTML
        await super().__call__(scope, receive, send)


@pytest.mark.parametrize(
    ("more", "expected"),
    [([], ["/a.css", "/b.js", "/f.woff2"]), ([(b"cookie", b"session=alice")], ["/a.css", "/b.js"])],
)
async def test_fonts_of_a_stylesheet_go_with_another_page_unless_it_may_be_one_clients(
    more: Headers, expected: list[str]
) -> None:
    served = Served(Styled())
    await served.get("/page", VISITOR, ours(1))
    for asset, referer in (("/a.css", "/page"), ("/b.js", "/page"), ("/f.woff2", "/a.css")):
        fields = [(b"referer", f"{ORIGIN}{referer}".encode()), *more]
        await served.get(asset, fields, ours(1))
    await served.later()

    await served.get("/other", ROBOT)
    await served.later()

    assert sent(served, "/other") == expected
