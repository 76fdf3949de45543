"""A view of a page: what goes out ahead of it, by what the server offers, and with its answer."""

from __future__ import annotations

from typing import Any

import pytest

from headstart.config import DeliverOptions
from headstart.deliver.decide import Decision, Way, fields_size
from headstart.learn import LearnOptions, View
from headstart.reasons import Refusal
from tests.middleware.served import (
    ASSETS,
    GRANIAN,
    H2CORN,
    HINT,
    HYPERCORN_1,
    HYPERCORN_2,
    NAVIGATION,
    PAGE,
    PROGRAM,
    PUSH,
    UVICORN_1,
    UVICORN_2,
    Late,
    Served,
    Wire,
    as_seen_by,
    ours,
    scope_of,
    site,
)
from tests.server.apps import Headers, Message, Receive, Scope, Send
from tests.visits import NO_CONTROL, Found, Site, answer_head


async def test_server_with_pushes_is_given_a_push_for_each_asset(served: Served) -> None:
    wire = await as_seen_by(served, HYPERCORN_2, PROGRAM)

    assert wire.pushed == ["/site.css", "/app.js"]
    assert [m["type"] for m in wire.messages[:3]] == ["http.response.push"] * 2 + [
        "http.response.start"
    ]
    assert (wire.hinted, wire.links) == ([], [])


@pytest.mark.parametrize("server", [UVICORN_2, HYPERCORN_2], ids=["uvicorn and zttp", "hypercorn"])
async def test_server_that_gives_a_browser_103_alone_is_given_one_with_all_links(
    served: Served, server: dict[str, Any]
) -> None:
    wire = await as_seen_by(served, server)

    assert wire.hinted == [
        [
            b'</site.css>; rel=preload; as=style; type="text/css"',
            b'</app.js>; rel=preload; as=script; type="text/javascript"',
        ]
    ]
    assert (wire.pushed, wire.links) == ([], [])
    assert wire.messages[0]["type"] == "http.response.early_hint"


async def test_server_that_takes_no_103_before_the_response_gets_links_and_is_asked_once(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    error = RuntimeError("must follow http.response.start")
    loads = [
        await as_seen_by(served, {**UVICORN_2, "client": ("192.0.2.1", port)}, wire=Late(error))
        for port in (50001, 50002)
    ]

    assert [len(wire.hinted) for wire in loads] == [1, 0]
    assert [len(wire.links) for wire in loads] == [2, 2]
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert served.middleware.counters.sent == {Way.LINK: 4}


async def test_client_that_has_left_ends_the_request_and_nothing_else(served: Served) -> None:
    with pytest.raises(BrokenPipeError):
        await as_seen_by(served, UVICORN_2, wire=Late(BrokenPipeError()))
    wire = await as_seen_by(served, {**UVICORN_2, "client": ("192.0.2.1", 50002)})

    assert len(wire.hinted) == 1


@pytest.mark.parametrize(
    "server",
    [UVICORN_1, HYPERCORN_1, GRANIAN, H2CORN],
    ids=["uvicorn over HTTP/1.1", "hypercorn over HTTP/1.1", "granian", "h2corn"],
)
async def test_server_with_neither_gets_links_in_the_response(
    served: Served, server: dict[str, Any]
) -> None:
    wire = await as_seen_by(served, server)

    assert [m["type"] for m in wire.messages] == ["http.response.start", "http.response.body"]
    assert [link.split(b">")[0] for link in wire.links] == [b"</site.css", b"</app.js"]


async def test_links_over_http_1_1_leave_room_for_the_responses_own_fields() -> None:
    large = (b"set-cookie", b"x" * 3700)

    class Large(Site):
        def _other(self, scope: Scope) -> Found:
            return Found([*answer_head("text/html"), large], 200)

    app = Large()
    app.found = site().found
    made = Served(app)
    await made.teach()
    made.middleware.counters.refused.clear()
    scope, wire = scope_of(PAGE, NAVIGATION, None, http_version="1.1"), Wire()
    await made.middleware(scope, wire.receive, wire.send)
    roomy = await made.get(extensions={**ours(2), **HINT})

    assert wire.links == []
    assert [d.refusal for d in scope["headstart.decisions"]] == [Refusal.OVER_BUDGET] * 2
    assert made.middleware.counters.refused == {Refusal.OVER_BUDGET: 2}
    assert [len(links) for links in roomy.hinted] == [2]
    await made.middleware.stop()


# It has a place among the fields that servers add.
SERVER_TIMING = len('server-timing: headstart;desc="link"\r\n')


@pytest.mark.parametrize("added", [0, 300])
async def test_links_over_http_1_1_leave_room_for_our_cookie_and_the_server_s_fields(
    added: int,
) -> None:
    class Sized(Site):
        size = 0

        def _other(self, scope: Scope) -> Found:
            cache = b"private, no-cache"
            fields = answer_head("text/html", (b"x-own", b"x" * self.size), cache=cache)
            return Found(fields, 200)

    styles = [f"/{number}.css" for number in range(20)]
    app = Sized(*styles)
    for found in app.found.values():
        found.headers[1] = (b"cache-control", b"max-age=86400")
    made = Served(app, deliver=DeliverOptions(min_think_time=0.0, cookie="had"))
    made.middleware.shared.added_fields = added
    await made.teach(styles)
    fullest = 0
    for number in range(50):
        app.size = 3000 + 8 * number
        connection, client = ours(number), (f"198.51.100.{number}", 1)
        # The first page's links are those that the client has with the second.
        await made.get(extensions=connection, client=client, http_version="1.1")
        wire = await made.get(extensions=connection, client=client, http_version="1.1")
        if wire.links:
            assert any(value.startswith(b"had=") for _, value in wire.headers)
            fullest = max(fullest, fields_size(wire.headers))

    most = 4096 - 256 - added + SERVER_TIMING
    assert most - 100 < fullest <= most
    await made.middleware.stop()


async def test_what_may_not_be_kept_is_linked_beside_the_103_that_names_the_rest() -> None:
    app = site()
    app.found["/app.js"].headers = answer_head("text/javascript", cache=b"no-cache")
    made = Served(app)
    await made.teach()
    wire = await made.get(extensions={**ours(1), **HINT})
    program = await made.get(headers=PROGRAM, extensions={**ours(2), **PUSH})

    [[hinted]], [linked] = wire.hinted, wire.links
    assert hinted.startswith(b"</site.css>")
    assert linked.startswith(b"</app.js>")
    assert made.middleware.counters.sent == {Way.HINT: 1, Way.LINK: 1, Way.PUSH: 2}
    assert sorted(program.pushed) == ["/app.js", "/site.css"]
    await made.middleware.stop()


async def test_links_are_added_behind_the_applications_own_which_stay_as_they_are() -> None:
    own = [(b"link", b"</own.css>; rel=preload; as=style"), (b"Link", b"</>; rel=canonical")]

    class Linked(Site):
        def _other(self, scope: Scope) -> Found:
            return Found([*answer_head("text/html"), *own], 200)

    app = Linked()
    app.found = site().found
    made = Served(app)
    await made.teach()
    wire = await made.get()

    assert wire.headers[2:4] == own
    assert len(wire.links) == 3
    assert wire.links[1].startswith(b"</site.css>")
    await made.middleware.stop()


async def test_learned_push_carries_nothing_of_who_asks(served: Served) -> None:
    wire = await served.get(extensions={**ours(), **PUSH})

    for message in wire.of("http.response.push"):
        assert message["headers"] == [(b"user-agent", b"test"), (b"accept-language", b"de")]
        assert message["learned"] is True
    assert [m["urgency"] for m in wire.of("http.response.push")] == [4, 4]


async def test_control_views_get_nothing_and_the_next_view_does() -> None:
    made = Served(learn=LearnOptions(control_share=2))
    await made.teach()
    loads = [await made.get(extensions={**ours(n), **PUSH}) for n in range(8)]

    silent = [wire for wire in loads if not wire.pushed]
    assert 3 <= len(silent) <= 5
    assert all(wire.messages[0]["type"] == "http.response.start" for wire in silent)
    await made.middleware.stop()


async def test_page_that_answers_at_once_gets_no_103() -> None:
    made = Served(deliver=DeliverOptions(min_think_time=3600.0))
    await made.teach()
    wire = await made.get(extensions={**ours(), **HINT})

    assert wire.hinted == []
    assert len(wire.links) == 2
    await made.middleware.stop()


async def test_url_that_redirects_or_serves_a_file_gets_the_sites_assets_twice_at_most() -> None:
    app = site()
    made = Served(app, deliver=DeliverOptions(min_think_time=0.0, links=False))
    for number in range(4):
        visitor = (f"192.0.2.{number}", 1)
        await made.load(ASSETS, ours(500 + number), page=f"/{number}/", client=visitor)
        await made.later()
    app.found["/old"] = Found([(b"location", PAGE.encode())], 302, b"")
    app.found["/feed"] = Found(answer_head("application/rss+xml"))
    for path, first in (("/old", 10), ("/feed", 20)):
        loads = [await made.get(path, extensions={**ours(first + n), **PUSH}) for n in range(4)]

        assert [len(wire.pushed) for wire in loads] == [2, 2, 0, 0]
    scope, wire = scope_of("/old", NAVIGATION, {**ours(30), **PUSH}), Wire()
    await made.middleware(scope, wire.receive, wire.send)
    app.found["/old"] = Found(answer_head("text/html"))
    await made.get("/old", extensions={**ours(31), **PUSH})
    page = await made.get("/old", extensions={**ours(32), **PUSH})

    assert [d.refusal for d in scope["headstart.decisions"]] == [Refusal.NOT_A_PAGE] * 2
    assert len(page.pushed) == 2
    await made.middleware.stop()


# DeliveryCounters, and what the application is shown.


async def test_decisions_are_in_the_scope_before_the_application_runs() -> None:
    seen: list[object] = []
    inner = site()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope.get("headstart.decisions"))
        await inner(scope, receive, send)

    made = Served(app)
    await made.teach()
    seen.clear()
    await made.get(extensions={**ours(), **PUSH})

    [decisions] = seen
    assert isinstance(decisions, list)
    assert all(isinstance(decision, Decision) for decision in decisions)
    assert [(d.candidate.target, d.way) for d in decisions] == [
        ("/site.css", Way.PUSH),
        ("/app.js", Way.PUSH),
    ]
    await made.middleware.stop()


async def test_counters_tell_ways_and_reasons(served: Served) -> None:
    counters = served.middleware.counters
    await served.get(extensions={**ours(1), **PUSH})
    await served.get(extensions={**ours(2), **HINT})
    await served.get(extensions={**ours(2), **HINT})
    await served.get(extensions=None)

    assert counters.sent == {Way.PUSH: 2, Way.HINT: 2, Way.LINK: 2}
    assert counters.refused == {Refusal.ALREADY_SENT: 2}


@pytest.mark.parametrize(
    ("learn", "headers", "refusal"),
    [
        (NO_CONTROL, [*NAVIGATION, (b"if-none-match", b'"1"')], Refusal.CONDITIONAL),
        (NO_CONTROL, [*NAVIGATION, (b"save-data", b"on")], Refusal.SAVE_DATA),
        (LearnOptions(control_share=1), NAVIGATION, Refusal.CONTROL_VIEW),
    ],
)
async def test_view_that_gets_nothing_is_counted_and_shown_with_its_reason(
    learn: LearnOptions, headers: Headers, refusal: Refusal
) -> None:
    made = Served(learn=learn)
    await made.teach()
    made.middleware.counters.refused.clear()
    scope = scope_of(PAGE, headers, {**ours(9), **PUSH})
    wire = Wire()

    await made.middleware(scope, wire.receive, wire.send)

    assert wire.pushed == []
    assert [(d.candidate.target, d.way, d.reason) for d in scope["headstart.decisions"]] == [
        (asset, Way.NOTHING, refusal) for asset in ASSETS
    ]
    assert made.middleware.counters.refused == {refusal: 2}
    await made.middleware.stop()


async def test_client_that_loads_no_assets_is_counted_and_shown_as_such(served: Served) -> None:
    robot = [(b"sec-fetch-dest", b"document"), (b"user-agent", b"robot")]
    for number in range(12):
        await served.get("/other/", robot, ours(number))
        await served.later()
    scope, wire = scope_of(PAGE, robot, {**ours(9), **PUSH}), Wire()

    await served.middleware(scope, wire.receive, wire.send)

    assert [d.refusal for d in scope["headstart.decisions"]] == [Refusal.NO_SUBRESOURCES] * 2


async def test_client_that_has_everything_is_counted_and_shown_as_such(served: Served) -> None:
    extensions = {**ours(9), **PUSH}
    for target in (PAGE, *ASSETS):
        await served.get(target, extensions=extensions)
    scope = scope_of(PAGE, NAVIGATION, extensions)
    wire = Wire()

    await served.middleware(scope, wire.receive, wire.send)

    assert [d.refusal for d in scope["headstart.decisions"]] == [Refusal.ALREADY_SENT] * 2


async def test_page_of_which_nothing_is_known_has_no_decisions() -> None:
    made = Served()
    scope = scope_of(PAGE, NAVIGATION, {**ours(), **PUSH})
    wire = Wire()

    await made.middleware(scope, wire.receive, wire.send)

    assert "headstart.decisions" not in scope
    assert made.middleware.counters.refused == {}
    await made.middleware.stop()


@pytest.mark.parametrize(
    "withheld",
    [
        Refusal.CONDITIONAL,
        Refusal.NOTHING_KNOWN,
        Refusal.NO_SUBRESOURCES,
        Refusal.MOSTLY_WASTE,
        Refusal.SLOWER,
        Refusal.CONTROL_VIEW,
    ],
)
async def test_application_and_counters_are_told_why_a_view_gets_none_of_its_likely_assets(
    served: Served, withheld: Refusal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def choose(view: View) -> Refusal:
        view.candidates = view.judged = ()
        return withheld

    monkeypatch.setattr(served.middleware.learner.choice, "choose", choose)
    scope = scope_of(PAGE, NAVIGATION, {**ours(1), **PUSH})
    wire = Wire()

    await served.middleware(scope, wire.receive, wire.send)

    # The page's assets are likely, so a client of which nothing is lacking has them.
    told = Refusal.ALREADY_SENT if withheld is Refusal.NOTHING_KNOWN else withheld
    assert [decision.refusal for decision in scope["headstart.decisions"]] == [told] * 2
    assert served.middleware.counters.refused == {told: 2}
    assert wire.pushed == []


@pytest.mark.parametrize("way", [PUSH, HINT], ids=["push", "103"])
async def test_what_the_server_refuses_is_counted_shown_and_not_remembered_as_sent(
    served: Served, way: dict[str, Any]
) -> None:
    wire = Wire(Refusal.CONNECTION_CLOSING)
    scope = scope_of(PAGE, NAVIGATION, {**ours(1), **way})
    await served.middleware(scope, wire.receive, wire.send)
    again = await served.get(extensions={**ours(1), **way})

    assert [d.refusal for d in scope["headstart.decisions"]] == [Refusal.CONNECTION_CLOSING] * 2
    assert [d.way for d in scope["headstart.decisions"]] == [Way.NOTHING] * 2
    assert served.middleware.counters.refused[Refusal.CONNECTION_CLOSING] == 2
    assert len(again.pushed) + sum(map(len, again.hinted)) == 2


# The cookie.


async def test_cookie_remembers_across_connections_what_was_sent() -> None:
    options = DeliverOptions(min_think_time=0.0, cookie="had")
    app = site()
    for found in app.found.values():
        found.headers[1] = (b"cache-control", b"max-age=86400")

    async def private(scope: Scope, receive: Receive, send: Send) -> None:
        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start" and scope["path"] == PAGE:
                message["headers"] = answer_head("text/html", cache=b"private, no-cache")
            await send(message)

        await app(scope, receive, marked)

    made = Served(private, deliver=options)
    await made.teach()
    first = await made.get(extensions={**ours(1), **PUSH})
    [cookie] = [value for name, value in first.headers if name == b"set-cookie"]
    kept = (b"cookie", b"other=1; " + cookie.split(b";")[0])
    second = await made.get(PAGE, [*NAVIGATION, kept], {**ours(2), **PUSH})

    assert cookie.startswith(b"had=")
    assert second.pushed == []
    assert made.middleware.counters.refused == {Refusal.IN_COOKIE: 2}
    assert not any(name == b"set-cookie" for name, _ in second.headers)
    await made.middleware.stop()


async def test_no_cookie_without_a_name_or_on_a_page_that_others_may_be_given() -> None:
    named = Served(deliver=DeliverOptions(min_think_time=0.0, cookie="had"))
    for made in (named, Served()):
        await made.teach()
        wire = await made.get(extensions={**ours(1), **PUSH})

        assert wire.pushed
        assert not any(name == b"set-cookie" for name, _ in wire.headers)
        await made.middleware.stop()


# What only seemed to be a page.


async def test_what_a_client_opened_by_itself_is_as_it_was_and_not_sent_to_it(
    served: Served,
) -> None:
    await served.get(extensions={**ours(2), **PUSH})
    await served.get("/other/", extensions=ours(1))
    opened = await served.get("/app.js", NAVIGATION, {**ours(1), **PUSH})
    missing = await served.get("/missing", NAVIGATION, {**ours(1), **PUSH})
    page = await served.get(extensions={**ours(1), **PUSH})

    for wire in (opened, missing):
        assert [m["type"] for m in wire.messages] == ["http.response.start", "http.response.body"]
        assert wire.links == []
    assert page.pushed == ["/site.css"]
