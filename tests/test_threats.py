"""The threats of a server that learns, each carried out over real connections.

Every client has an address of its own, and is one voter by it. `docs/delivering.md` says what is
held against each attack; here the attacks are made, and it is seen what other clients then get.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import count

import ngh2
import pytest
from ngh2 import ErrorCode

from headstart.config import DeliverOptions
from headstart.learn import LearnOptions
from tests.server.apps import Headers
from tests.server.live import PATIENCE
from tests.server.raw import RawClient
from tests.visits import (
    FRESH,
    NAVIGATION,
    Found,
    Site,
    Visited,
    answer_head,
    links,
    load,
    path_of,
    referred,
    visited,
)

STYLE, EVIL = "/site.css", "/upload/evil.js"
ATTACKER, VICTIM = "127.6.6.6", "127.0.7.7"
_NEW = (f"127.7.{number // 250}.{number % 250 + 1}" for number in count())
SCRIPT = answer_head("text/javascript")


@contextmanager
def shop(*more: str, learn: LearnOptions | None = None) -> Iterator[tuple[Site, Visited]]:
    """A site where anybody may upload what is then served as a script."""
    app = Site(STYLE, *more)
    app.found[EVIL] = Found(SCRIPT)
    with visited(app, learn=learn or LearnOptions(control_share=0)) as site:
        yield app, site


def gets(site: Visited, page: str = "/", *, address: str | None = None) -> list[str]:
    """What a client is sent with a page, pushed and hinted alike; one never seen before."""
    with site.client(address or next(_NEW)) as client:
        pushed = load(client, page).ahead
    with site.client(address or next(_NEW), push=False) as client:
        hinted = load(client, page).ahead
        for asset in hinted:
            client.get(asset.encode(), referred(client, page))
    assert pushed == hinted
    return pushed


# Forged Referer.


def forge(site: Visited, requests: int, target: str = EVIL, page: str = "/") -> None:
    """Ask for the target so often, claiming that the page needs it; a view for each 99 of them."""
    left = requests
    while left > 0:
        with site.client(ATTACKER) as client:
            for _ in range(10):
                load_many(client, page, [target] * min(left, 99))
                left -= 99
        site.later(3.0)


def load_many(client: RawClient, page: str, targets: list[str]) -> None:
    """A page, and so many requests in its name, at once."""
    stream_id = client.request(page.encode(), headers=NAVIGATION)
    client.response(stream_id)
    streams = [
        client.request(target.encode(), headers=referred(client, page)) for target in targets
    ]
    client.until(lambda: all(client.responses[number].ended for number in streams))


def test_10_000_forged_requests_of_one_client_change_no_other_clients_deliveries() -> None:
    with shop() as (app, site):
        site.teach([STYLE], visitors=3)
        before = gets(site)
        forge(site, 10_000)
        after = gets(site)

    assert app.asked.count(EVIL) >= 10_000
    assert before == after == [STYLE]


def test_client_that_came_first_moves_the_page_no_more_once_there_are_others() -> None:
    with shop() as (_, site):
        forge(site, 500)
        alone = gets(site, address=ATTACKER)
        site.teach([STYLE], visitors=3)
        after = gets(site)
        forge(site, 500)
        again = gets(site)

    assert alone == [EVIL]
    assert after == again == [STYLE]


def test_client_that_never_asks_for_an_asset_takes_it_from_no_other() -> None:
    with shop("/other.css") as (_, site):
        site.teach([STYLE], visitors=3)
        forge(site, 2_000, "/other.css")

        assert gets(site) == [STYLE]


def test_client_that_cancels_all_its_pushes_takes_them_from_no_other() -> None:
    with shop() as (_, site):
        site.teach([STYLE], visitors=3)
        for _ in range(40):
            with site.client(ATTACKER) as client:
                stream_id = client.request(headers=NAVIGATION)
                client.until(lambda: client.promises)
                for promised in client.promises:
                    client.reset(promised)
                client.response(stream_id)
                client.settle()
            site.later(3.0)

        assert gets(site) == [STYLE]


@pytest.mark.parametrize(
    "referer",
    [
        b"http://elsewhere.test/",
        b"http://localhost:81/",
        b"https://localhost/",
        b"http://localhost/other/",
        b"http://localhost",
        b"//localhost/",
        b"",
    ],
)
def test_referer_of_another_origin_or_page_teaches_nothing(referer: bytes) -> None:
    with shop() as (_, site):
        for _ in range(3):
            with site.client(next(_NEW)) as client:
                load(client, "/", [STYLE])
                client.get(EVIL.encode(), [(b"referer", referer)])
            site.later()

        assert gets(site) == [STYLE]


# Private content through a shared map.

PRIVATE: dict[str, Headers] = {
    "/private.css": answer_head("text/css", cache=b"private, max-age=600"),
    "/no-store.css": answer_head("text/css", cache=b"max-age=600, no-store"),
    "/cookie.css": answer_head("text/css", (b"set-cookie", b"user=a")),
    "/vary.css": answer_head("text/css", (b"vary", b"Accept, Cookie")),
    "/vary-all.css": answer_head("text/css", (b"vary", b"*")),
    "/vary-auth.css": answer_head("text/css", (b"vary", b"authorization")),
    "/report.pdf": answer_head("application/pdf"),
    "/me.json": answer_head("application/json"),
    "/frame.html": answer_head("text/html"),
}


def test_what_is_one_users_reaches_no_other_and_not_even_its_name() -> None:
    with shop() as (app, site):
        app.found |= {path: Found(headers) for path, headers in PRIVATE.items()}
        for _ in range(3):
            site.teach([STYLE, *PRIVATE], visitors=3)

        assert gets(site) == [STYLE]
        assert {row.asset for row in site.middleware.learner.rows()} == {STYLE}


def test_what_was_asked_for_with_authorization_is_not_learned() -> None:
    with shop() as (_, site):
        for number in range(3):
            with site.client(f"127.0.0.{number + 2}") as client:
                load(client, "/", [STYLE])
                client.get(b"/upload/evil.js", [*referred(client, "/"), (b"authorization", b"x")])
            site.later()

        assert gets(site) == [STYLE]


def test_url_that_only_one_user_asks_for_is_sent_to_no_other() -> None:
    users = [f"/theme.css?user={number}" for number in range(6)]
    with shop(*users) as (_, site):
        for number, own in enumerate(users):
            site.visit("/", [STYLE, own], address=f"127.0.0.{number + 2}")
            site.later()

        assert gets(site) == [STYLE]


def test_learned_push_runs_without_credentials() -> None:
    user: Headers = [
        (b"cookie", b"user=b"),
        (b"authorization", b"Bearer b"),
        (b"x-api-key", b"b"),
        (b"accept-language", b"de"),
    ]
    with shop() as (app, site):
        site.teach([STYLE], visitors=3)
        ahead = site.visit("/", headers=[*NAVIGATION, *user]).promised

    assert ahead == app.pushed == [STYLE]
    assert app.carried[STYLE].keys() <= {b"host", b"accept-language", b"referer"}
    assert app.carried[STYLE][b"accept-language"] == b"de"


# URLs that change state.


@pytest.mark.parametrize(
    ("target", "cache", "visitors", "learned"),
    [
        ("/logout.png?now", b"public", 3, False),
        ("/count.gif?user=1", b"", 3, False),
        ("/count.gif?user=1", b"max-age=59", 1, False),
        ("/site.css?v=3", b"max-age=59", 3, True),
        ("/site.css?v=3", b"max-age=60", 1, True),
        ("/site.css?v=3", b"immutable", 3, True),
    ],
)
def test_query_is_learned_only_if_the_answer_lasts_or_somebody_else_asked_for_it(
    target: str, cache: bytes, visitors: int, learned: bool
) -> None:
    kind = "text/css" if "css" in target else "image/png"
    with shop() as (app, site):
        app.found[target] = Found(answer_head(kind, cache=cache))
        site.teach([STYLE, target], visitors=visitors)

        assert (target in gets(site)) is learned


@pytest.mark.parametrize("method", [b"POST", b"PUT", b"DELETE", b"HEAD"])
def test_other_methods_are_never_learned(method: bytes) -> None:
    with shop() as (_, site):
        for number in range(3):
            with site.client(f"127.0.0.{number + 2}") as client:
                load(client, "/", [STYLE])
                again = client.request(EVIL.encode(), method=method, headers=referred(client, "/"))
                client.response(again)
            site.later()

        assert gets(site) == [STYLE]


# Unbounded distinct URLs and Referers.


def test_distinct_pages_assets_and_clients_stay_within_the_bounds() -> None:
    bounds = LearnOptions(
        control_share=0,
        max_pages=20,
        max_patterns=10,
        max_assets=5,
        max_clients=30,
        max_live_views=25,
        max_had=200,
    )
    with shop(*(f"/{n}.css" for n in range(2_000)), learn=bounds) as (_, site):
        for number in range(60):
            flood(site, number)
        site.later()
        middleware = site.middleware
        rows = list(middleware.learner.rows())
        pages = {row.page for row in rows}

    assert len(pages) <= 20 + 10 + 1
    assert max(sum(row.page == page for row in rows) for page in pages) <= 5
    assert len(middleware.shared.memories) <= 1_000
    assert middleware.shared.under_way == []


def flood(site: Visited, number: int) -> None:
    """Another client, other pages, other assets, and Referers that are no page at all."""
    with site.client(f"127.0.9.{number + 1}") as client:
        for place in range(3):
            load(
                client,
                f"/{number}/{place}/",
                [f"/{(number * 20 + n) % 2_000}.css" for n in range(6)],
            )
        for place in range(10):
            bogus = (b"referer", b"http://localhost/%d/%d?x" % (number, place))
            client.get(b"/%d.css" % place, [bogus])
    site.clock.now += 0.5


# Amplification.


def test_cancelled_and_repeated_request_gets_the_same_pushes_once() -> None:
    with shop("/b.css") as (app, site):
        site.teach([STYLE, "/b.css"], visitors=3)
        with site.client() as client:
            for _ in range(30):
                stream_id = client.request(headers=NAVIGATION)
                # Before Python 3.12 a PING that comes with the request is answered before its call.
                client.until(lambda: len(client.promises) == 2)
                client.settle()
                for number in (stream_id, *client.promises):
                    if not client.responses[number].ended:
                        client.reset(number, ErrorCode.CANCEL)
            client.settle()
            paths = [path_of(client, number) for number in client.promises]

    assert sorted(paths) == ["/b.css", STYLE]
    assert len(app.pushed) == 2


def test_repeated_request_gets_the_same_103_once_a_connection() -> None:
    with shop() as (_, site):
        site.teach([STYLE], visitors=3)
        with site.client(push=False) as client:
            loads = [load(client, "/") for _ in range(10)]

    assert [len(view.page.informational) for view in loads] == [1] + [0] * 9


def test_one_page_sends_no_more_than_the_budget() -> None:
    many = [f"/{number}.css" for number in range(20)]
    app = Site(*many)
    options = DeliverOptions(min_think_time=0.0, max_assets=7, max_push_bytes=450)
    with visited(app, deliver=options) as site:
        site.teach(many, visitors=3)

        assert len(site.visit("/").promised) == 4
        assert len(site.visit("/", push=False).hinted) == 7


# Header injection through Link.

ODD = [
    b"/%0d%0aset-cookie:%20a=b.css",
    b"/%0D%0A%0D%0A<script>.css",
    b"/%3E;rel=next,%3C/other.css",
    b"/a>;rel=next.css",
    b"/a,b;c=d'e.css",
    b'/"quoted".css',
    b"/back\\slash.css",
    b"/{braces}|^`.css",
    b"/%c3%a4.css",
    b"//elsewhere.test/a.css",
    b"/a b.css",
    b"/tab\t.css",
]


class Anything(Site):
    """Answers every path with a stylesheet, but for the page."""

    def _other(self, scope: dict[str, object] | object) -> Found:
        return Found()

    def __init__(self) -> None:
        super().__init__()
        self.found["/"] = Found(answer_head("text/html"))


def test_odd_paths_put_nothing_into_a_link_or_a_promise_but_themselves() -> None:
    app = Anything()
    with visited(app) as site:
        for number in range(3):
            address = f"127.0.0.{number + 2}"
            ask_oddly(site, address)
            site.later()
        hinted = site.visit("/", push=False)
        fields = [field for head in hinted.page.informational for field in head]
        promised = site.visit("/").promised
        plain = over_http_1(site, b"/")

    assert {name for name, _ in fields} == {b":status", b"link"}
    assert "/safe.css" in promised
    assert set(hinted.ahead) == set(promised) <= set(app.asked)
    assert not any("//" in path or ">" in path for path in promised)
    assert len(fields) == 1 + len(hinted.hinted), "each field is one link"
    assert {link.as_ for link in hinted.hinted} == {"style"}
    heads = [line.split(b":")[0].lower() for line in plain.split(b"\r\n\r\n")[0].split(b"\r\n")[1:]]
    assert set(heads) == {b"content-type", b"cache-control", b"link", b"date", b"server",
                          b"content-length", b"connection"}  # fmt: skip


def ask_oddly(site: Visited, address: str) -> None:
    """A page with odd assets: over HTTP/2 what it takes, over HTTP/1.1 what it takes."""
    with site.client(address) as client:
        load(client, "/", ["/safe.css"])
        for path in ODD:
            # What our own engine will not send cannot be tried this way.
            with suppress(ngh2.NGH2Error):
                client.get(path, referred(client, "/"))
    for path in (b"/", b"/safe.css", *ODD):
        over_http_1(site, path, address)


def over_http_1(site: Visited, path: bytes, address: str = VICTIM) -> bytes:
    """Ask for the path in the name of the page; the response, raw."""
    with socket.create_connection(("127.0.0.1", site.live.port), PATIENCE, (address, 0)) as sock:
        sock.sendall(
            b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            b"Accept: text/html\r\nReferer: http://localhost/\r\n\r\n"
        )
        return b"".join(iter(lambda: sock.recv(65536), b""))


# Timing.


def test_what_others_visit_shows_in_nothing_before_the_map_changes() -> None:
    with shop() as (_, site):
        site.teach([STYLE], visitors=3)
        before = [gets(site) for _ in range(3)]
        for number in range(5):
            site.visit("/", [STYLE, EVIL], address=f"127.0.4.{number + 1}")
            site.visit("/secret/", [EVIL], address=f"127.0.4.{number + 1}")
        within = [gets(site) for _ in range(3)]
        unknown = gets(site, "/secret/")
        site.later()
        after = gets(site, "/secret/")

    assert before == within == [[STYLE]] * 3
    assert unknown == gets_of_a_page_never_seen()
    assert after == [EVIL]


def gets_of_a_page_never_seen() -> list[str]:
    """What such a site sends with a page that nobody has visited."""
    with shop() as (_, site):
        site.teach([STYLE], visitors=3)
        return gets(site, "/secret/")


def test_same_map_gives_every_client_the_same() -> None:
    with shop("/b.css") as (_, site):
        site.teach([STYLE, "/b.css"], visitors=3)
        clients: Iterable[str] = (f"127.3.{n}.1" for n in range(20))
        sent = [site.visit("/", address=address).promised for address in clients]

    assert sent == [["/b.css", STYLE]] * 20


# The cookie.


def test_cookie_never_goes_with_what_a_shared_cache_may_keep() -> None:
    app = Site(STYLE)
    app.found["/"] = Found(answer_head("text/html", cache=FRESH))
    options = DeliverOptions(min_think_time=0.0, cookie="had")
    with visited(app, deliver=options) as site:
        site.teach([STYLE], visitors=3)
        page = site.visit("/").page

    assert page.header(b"set-cookie") is None
    assert links(page.headers) == []
