"""A browser's order of asking, fed with events; then the whole, against the demo's real server."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import pageload
from bench.pageload import (
    FLOOR,
    Load,
    Loading,
    Table,
    Way,
    markdown,
    measure_loads,
    references,
    result_of,
)
from bench.rounds import Result
from bench.sample import LoadFailed
from bench.scenarios import Scenario, named
from headstart.demo.site import ASSETS
from headstart.reasons import Closing
from headstart.wire.events import (
    ClientEvent,
    ConnectionEnded,
    DataReceived,
    Fields,
    InformationalResponseReceived,
    PromiseReceived,
    ResponseReceived,
)

ORIGIN = "http://127.0.0.1:80"
HTML = b'<link rel="stylesheet" href="a.css"><link rel="next" href="b"><script src="a.js"></script>'
STYLE = b"@font-face { src: url(a.woff2) } body { background: url('/p.svg') }"
LINKS: Fields = [(b"link", b"</site/a.css>; rel=preload; as=style"), (b"server", b"x")]


class Server:
    """Answers one `Loading` by hand."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.fields: list[dict[bytes, bytes]] = []
        self.loading = Loading("/site/", ORIGIN, self._request)
        self.loading.begin(navigates=True)

    def _request(self, target: str, fields: Fields) -> int:
        self.asked.append(target)
        self.fields.append(dict(fields))
        return 2 * len(self.asked) - 1

    def stream(self, target: str) -> int:
        return 2 * self.asked.index(target) + 1

    def say(self, *events: ClientEvent) -> None:
        for event in events:
            self.loading.handle(event)

    def answer(self, stream_id: int, kind: str, body: bytes, status: int = 200) -> None:
        self.say(
            ResponseReceived(stream_id, status, [(b"content-type", kind.encode())], not body),
            *([DataReceived(stream_id, body, True)] if body else []),
        )

    def promise(self, stream_id: int, target: bytes) -> None:
        self.say(PromiseReceived(1, stream_id, "GET", b"http", b"127.0.0.1:80", target, []))


def test_assets_are_asked_for_when_what_links_them_is_there() -> None:
    server = Server()

    server.answer(1, "text/html; charset=utf-8", HTML)
    after_page = list(server.asked)
    server.answer(server.stream("/site/a.css"), "text/css", STYLE)

    assert after_page == ["/site/", "/site/a.css", "/site/a.js"]
    assert server.asked[3:] == ["/site/a.woff2", "/p.svg"]
    assert server.fields[0][b"sec-fetch-dest"] == b"document"
    assert server.fields[1][b"referer"] == f"{ORIGIN}/site/".encode()
    assert server.fields[3][b"referer"] == f"{ORIGIN}/site/a.css".encode()
    assert server.fields[3][b"sec-fetch-mode"] == b"cors"


def test_load_is_done_with_its_last_asset() -> None:
    server = Server()

    server.answer(1, "text/html", HTML)
    server.answer(server.stream("/site/a.js"), "text/javascript", b"")
    server.answer(server.stream("/site/a.css"), "text/css", STYLE)
    server.answer(server.stream("/site/a.woff2"), "font/woff2", b"font")
    nearly = server.loading.done
    server.answer(server.stream("/p.svg"), "image/svg+xml", b"<svg/>")

    assert (nearly, server.loading.done) == (False, True)


def test_what_a_103_names_is_asked_for_at_once_and_once() -> None:
    server = Server()

    server.say(InformationalResponseReceived(1, 103, LINKS))
    asked = list(server.asked)
    server.answer(server.stream("/site/a.css"), "text/css", STYLE)
    before_page = list(server.asked)
    server.answer(1, "text/html", HTML)

    assert asked == before_page == ["/site/", "/site/a.css"]
    assert server.asked[2:] == ["/site/a.woff2", "/p.svg", "/site/a.js"]
    assert server.loading.hinted == {f"{ORIGIN}/site/a.css"}


def test_what_was_pushed_is_not_asked_for() -> None:
    server = Server()

    for number, name in enumerate((b"/site/a.css", b"/site/a.js", b"/site/a.woff2", b"/p.svg")):
        server.promise(2 * number + 2, name)
    server.answer(2, "text/css", STYLE)
    server.answer(1, "text/html", HTML)
    server.answer(4, "text/javascript", b"1")
    server.answer(6, "font/woff2", b"1")
    nearly = server.loading.done
    server.answer(8, "image/svg+xml", b"1")

    assert server.asked == ["/site/"]
    assert len(server.loading.pushed) == 4
    assert (nearly, server.loading.done) == (False, True)


def test_lost_connection_and_missing_asset_are_told() -> None:
    server = Server()
    server.answer(1, "text/html", HTML)

    with pytest.raises(LoadFailed, match=r"a\.js answered 404"):
        server.answer(server.stream("/site/a.js"), "text/plain", b"", 404)
    with pytest.raises(LoadFailed, match="did not come"):
        server.say(ConnectionEnded(1, Closing.PROTOCOL_ERROR))


def test_only_pages_and_stylesheets_refer_to_more() -> None:
    assert list(references("text/html", '<img src=1.svg><a href="x">')) == ["1.svg"]
    assert list(references("text/javascript", "url(a.svg)")) == []


def table(push: float) -> Table:
    def loads(*seconds: float) -> list[Load]:
        return [Load(each, 200, 0, 0, 11) for each in seconds]

    found = {Way.NOTHING: loads(0.5, 0.6, 0.51), Way.HINT: loads(0.3), Way.PUSH: loads(push)}
    return Table(0.1, 0.3, found)


def scenario() -> Scenario:
    found = named("page-load")
    assert found is not None
    return found


def test_table_shows_median_spread_and_ratio_to_the_floor() -> None:
    shown = markdown(result_of(scenario(), table(0.33)))

    assert "| nothing | 510 (500..600) | 1.70 |" in shown
    assert "| push | 330 (330..330) | 1.10 |" in shown
    assert "| floor | 300 (300..300) | 1.00 |" in shown


def test_results_have_a_floor_for_every_load() -> None:
    samples = result_of(scenario(), table(0.36)).samples

    assert [sample.p50 for sample in samples[Way.NOTHING]] == [0.5, 0.6, 0.51]
    assert [sample.p50 for sample in samples[FLOOR]] == [0.3] * 3


def test_loads_that_failed_are_told_instead_of_the_table() -> None:
    failed = Result(scenario(), failures={"push": "the server hung up"})

    assert markdown(failed) == "Page loads failed: the server hung up"


def test_each_way_sends_ahead_what_its_row_says(tmp_path: Path) -> None:
    measured = measure_loads(tmp_path, 1, round_trip=0.02)

    nothing, hint, push = (measured.loads[way][0] for way in Way)
    assert (nothing.pushed, nothing.hinted, nothing.asked) == (0, 0, len(ASSETS))
    assert (hint.pushed, hint.hinted, hint.asked) == (0, len(ASSETS), len(ASSETS))
    assert (push.pushed, push.hinted, push.asked) == (len(ASSETS), 0, 0)
    assert push.seconds >= measured.floor


def test_load_that_is_not_what_its_row_says_is_refused() -> None:
    with pytest.raises(LoadFailed, match="a load with push was"):
        pageload._check(Way.PUSH, Load(0.5, 200, 0, 0, 11))
    with pytest.raises(LoadFailed, match="a load with nothing was"):
        pageload._check(Way.NOTHING, Load(0.3, 200, 11, 0, 0))
