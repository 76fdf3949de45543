"""What an application says of its page itself counts more than what was learned."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.requests import Request

from headstart import Link, hint
from headstart.config import DeliverOptions
from headstart.deliver.decide import Way
from headstart.deliver.outcome import Hint
from headstart.deliver.preload import link_value
from headstart.learn import LearnOptions
from headstart.reasons import Refusal
from tests.middleware.served import (
    ASSETS,
    HINT,
    NAVIGATION,
    PAGE,
    PROGRAM,
    PUSH,
    UVICORN_1,
    UVICORN_2,
    Served,
    Wire,
    ours,
    scope_of,
    site,
)
from tests.server.apps import Headers, Receive, Scope, Send
from tests.visits import Found, Site, answer_head

OWN = Link("/own.css", as_="style")
STYLE = Link("/site.css", as_="style")
# Without cookies, so that its copy of a page is anybody's.
STRANGER = NAVIGATION[:3]
SAFARI = (b"user-agent", b"AppleWebKit/605.1.15 Version/17.4 Safari/605.1.15")


class Hinting:
    """An application that hints at its page, before it answers.

    Attributes:
        links: What it hints; nothing if there are none.
        hints: What became of each 103.
    """

    def __init__(self, *links: Link) -> None:
        self.links = links
        self.hints: list[Hint] = []
        self._site = site()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.links and scope["type"] == "http" and scope["path"] == PAGE:
            request = Request(scope, receive, send)
            self.hints.append(await hint(request, *self.links))
        await self._site(scope, receive, send)


def targets(links: list[bytes]) -> list[bytes]:
    return [link[1:].partition(b">")[0] for link in links]


class OneHint(Wire):
    """A server of ours after its first 103 has left."""

    async def send(self, message: Any) -> None:
        offer = message.get("headstart")
        self.refusal = Refusal.ALREADY_HINTED if self.hinted and isinstance(offer, Hint) else None
        if self.refusal is None or not isinstance(offer, Hint):
            await super().send(message)
        else:
            offer.refuse(self.refusal)


async def test_first_103_of_an_application_goes_by_link_if_a_learned_one_has_left() -> None:
    app = Hinting()
    made = Served(app)
    await made.teach()
    app.links = (OWN,)
    wire = await made.get(extensions={**ours(), **HINT}, wire=OneHint())

    assert [targets(links) for links in wire.hinted] == [[b"/site.css", b"/app.js"]]
    assert targets(wire.links) == [b"/own.css"]
    assert [(bool(h), h.sent, h.linked, h.refusal) for h in app.hints] == [
        (True, False, True, None)
    ]
    await made.middleware.stop()


async def test_learner_waits_for_the_103_of_an_application_that_hinted_before() -> None:
    app = Hinting()
    made = Served(app)
    await made.teach()
    app.links = (OWN, STYLE)
    await made.get(extensions={**ours(1), **HINT}, wire=OneHint())
    scope, wire = scope_of(PAGE, NAVIGATION, {**ours(2), **HINT}), Wire()
    await made.middleware(scope, wire.receive, wire.send)

    assert [targets(links) for links in wire.hinted] == [[b"/own.css", b"/site.css", b"/app.js"]]
    assert wire.links == []
    assert app.hints[-1].sent
    assert {d.candidate.target: (d.way, d.refusal) for d in scope["headstart.decisions"]} == {
        "/site.css": (Way.NOTHING, Refusal.APPLICATION_SAYS),
        "/app.js": (Way.HINT, Refusal.PUSH_DISABLED),
    }
    await made.middleware.stop()


async def test_learned_links_that_waited_in_vain_go_with_the_response_and_wait_no_more() -> None:
    app = Hinting(OWN)
    made = Served(app)
    await made.load(extensions={**ours(999), **HINT})
    await made.later()
    app.links = ()
    first = await made.get(extensions={**ours(1), **HINT})
    second = await made.get(extensions={**ours(2), **HINT})

    assert first.hinted == []
    assert targets(first.links) == [b"/site.css", b"/app.js"]
    assert [targets(links) for links in second.hinted] == [[b"/site.css", b"/app.js"]]
    await made.middleware.stop()


@pytest.mark.parametrize(
    ("headers", "server"),
    [
        (NAVIGATION, UVICORN_1),
        ([*NAVIGATION[:2], SAFARI], {"extensions": {**ours(), **HINT}}),
        ([*NAVIGATION[:1], (b"sec-fetch-dest", b"iframe")], {"extensions": {**ours(), **HINT}}),
    ],
    ids=["HTTP/1.1", "Safari", "frame"],
)
async def test_103_of_an_application_goes_by_link_to_a_client_that_takes_none(
    headers: Headers, server: Any
) -> None:
    app = Hinting(OWN)
    made = Served(app)
    wire = await made.get(headers=headers, wire=Wire(silent=True), **server)

    assert wire.hinted == []
    assert targets(wire.links) == [b"/own.css"]
    assert app.hints[0].linked
    await made.middleware.stop()


async def test_other_servers_are_not_given_a_second_103() -> None:
    app = Hinting()
    made = Served(app)
    await made.teach()
    app.links = (OWN,)
    wire = await made.get(extensions=UVICORN_2["extensions"], wire=Wire(silent=True))

    assert [targets(links) for links in wire.hinted] == [[b"/site.css", b"/app.js"]]
    assert targets(wire.links) == [b"/own.css"]
    await made.middleware.stop()


async def test_view_that_gets_nothing_learned_still_gets_what_the_application_hints() -> None:
    app = Hinting(OWN)
    made = Served(app, learn=LearnOptions(control_share=1))
    await made.teach()
    wire = await made.get(extensions={**ours(), **HINT})

    assert [targets(links) for links in wire.hinted] == [[b"/own.css"]]
    await made.middleware.stop()


# The application's own Link fields.


class Linked(Site):
    """Its page names assets in Link fields of its own."""

    def __init__(self, *links: bytes) -> None:
        super().__init__()
        self.found = site().found
        self.own = [(b"link", link) for link in links]

    def _other(self, scope: Scope) -> Found:
        return Found([*answer_head("text/html"), *self.own], 200)


async def test_what_the_response_names_itself_is_not_named_again() -> None:
    made = Served(Linked(b"<https://example.test/site.css>; rel=preload; as=style"))
    await made.teach()
    wire = await made.get()

    assert targets(wire.links) == [b"https://example.test/site.css", b"/app.js"]
    assert made.middleware.counters.refused[Refusal.APPLICATION_SAYS] == 1
    await made.middleware.stop()


async def test_what_the_response_names_is_pushed_before_it_at_the_first_view_already() -> None:
    links = (
        b"</site.css>; rel=preload; as=style",
        b"</app.js>; rel=preload; as=script; nopush",
        b"</favicon.ico>; rel=preload; as=image",
        b"</me.json>; rel=preload; as=fetch",
    )
    made = Served(Linked(*links))
    wire = await made.get(headers=PROGRAM, extensions={**ours(1), **PUSH})
    again = await made.get(headers=PROGRAM, extensions={**ours(1), **PUSH})

    assert wire.pushed == ["/site.css"]
    assert [m["type"] for m in wire.messages[:2]] == ["http.response.push", "http.response.start"]
    assert wire.of("http.response.push")[0]["urgency"] == 4
    assert wire.links == list(links)
    assert again.pushed == []
    assert made.middleware.counters.sent == {Way.PUSH: 1}
    await made.middleware.stop()


@pytest.mark.parametrize(
    ("more", "refusal"),
    [
        ((b"if-none-match", b'"1"'), Refusal.CONDITIONAL),
        ((b"save-data", b"on"), Refusal.SAVE_DATA),
    ],
)
async def test_client_that_has_the_page_or_saves_data_is_pushed_nothing(
    more: tuple[bytes, bytes], refusal: Refusal
) -> None:
    made = Served(Linked(b"</site.css>; rel=preload; as=style"))
    wire = await made.get(headers=[*PROGRAM, more], extensions={**ours(1), **PUSH})

    assert wire.pushed == []
    assert made.middleware.counters.refused == {refusal: 1}
    await made.middleware.stop()


async def test_own_link_that_the_learner_sent_or_refused_is_counted_once() -> None:
    made = Served(Linked(b"</site.css>; rel=preload; as=style"))
    await made.teach()
    counters = made.middleware.counters
    await made.get(headers=PROGRAM, extensions={**ours(1), **PUSH})
    assert counters.refused[Refusal.ALREADY_SENT] == 0

    saving = [*PROGRAM, (b"save-data", b"on")]
    await made.get(headers=saving, extensions={**ours(2), **PUSH})

    assert counters.refused == {Refusal.SAVE_DATA: counters.candidates // 2}
    await made.middleware.stop()


async def test_links_that_waited_in_vain_are_counted_as_refused_if_links_are_off() -> None:
    app = Hinting(OWN)
    made = Served(app, deliver=DeliverOptions(min_think_time=0.0, links=False))
    await made.load(extensions={**ours(999), **HINT})
    await made.later()
    app.links = ()
    wire = await made.get(extensions={**ours(1), **HINT})

    assert (wire.hinted, wire.links) == ([], [])
    assert made.middleware.counters.refused == {Refusal.APPLICATION_HINTS: 2}
    await made.middleware.stop()


async def test_push_of_an_own_link_that_the_server_refuses_is_not_remembered() -> None:
    made = Served(Linked(b"</site.css>; rel=preload; as=style"))
    refused = Wire(Refusal.TOO_MANY)
    await made.get(headers=PROGRAM, extensions={**ours(1), **PUSH}, wire=refused)
    wire = await made.get(headers=PROGRAM, extensions={**ours(1), **PUSH})

    assert wire.pushed == ["/site.css"]
    assert made.middleware.counters.refused == {Refusal.TOO_MANY: 1}
    assert made.middleware.counters.sent == {Way.PUSH: 1}
    await made.middleware.stop()


async def test_links_that_the_application_hinted_and_names_again_stand_once() -> None:
    app = Linked(OWN.field_value())
    hinting = Hinting(OWN)
    hinting._site = app
    made = Served(hinting)
    wire = await made.get(http_version="1.1", extensions=None)

    assert wire.links == [OWN.field_value()]
    await made.middleware.stop()


@pytest.mark.parametrize("way", ["Link field", "103"])
async def test_what_the_application_names_is_learned_as_what_the_html_names(way: str) -> None:
    font = Link("/f.woff2", as_="font", crossorigin="use-credentials", fetchpriority="high")
    app: Any = Linked(font.field_value()) if way == "Link field" else Hinting(font)
    made = Served(app)
    await made.get(headers=STRANGER, extensions={**ours(1), **HINT})
    await made.later()

    [candidate] = made.middleware.learner.candidates("https://example.test", PAGE)
    assert (candidate.target, candidate.kind, candidate.why) == ("/f.woff2", "font", "named")
    assert candidate.named is not None
    assert link_value(candidate.asset, candidate.named) == font.field_value()
    await made.middleware.stop()


async def test_module_and_image_candidates_are_learned_as_they_are_named() -> None:
    links = (
        Link("/m.js", rel="modulepreload"),
        Link("/i.png", as_="image", imagesrcset="/i.png 1x, /j.png 2x", media="print"),
        Link("/x.js", as_="script", fetchpriority="low", crossorigin="anonymous"),
    )
    made = Served(Linked(*(link.field_value() for link in links), b"</a>; rel=preload; as=fetch"))
    await made.get(headers=STRANGER)
    await made.later()

    found = made.middleware.learner.candidates("https://example.test", PAGE)
    values = {link_value(candidate.asset, candidate.named) for candidate in found}
    assert values == {link.field_value() for link in links}
    await made.middleware.stop()


# The page's Content-Security-Policy.


class Guarded(Linked):
    """Its page has a policy with a nonce that changes."""

    def __init__(self, policy: str = "style-src 'nonce-{n}'; script-src 'nonce-{n}'") -> None:
        super().__init__()
        self.policy = policy
        self.number = 0

    def _other(self, scope: Scope) -> Found:
        self.number += 1
        policy = (b"content-security-policy", self.policy.format(n=self.number).encode())
        return Found([*answer_head("text/html"), policy], 200)


async def test_links_of_the_response_carry_its_nonce() -> None:
    made = Served(Guarded())
    await made.teach()
    wire = await made.get()

    assert [link.partition(b"nonce=")[2] for link in wire.links] == [b'"2"', b'"2"']
    await made.middleware.stop()


async def test_what_the_policy_bars_is_not_linked() -> None:
    made = Served(Guarded("style-src 'self'; script-src 'none'"))
    await made.teach()
    wire = await made.get()

    assert targets(wire.links) == [b"/site.css"]
    assert made.middleware.counters.refused[Refusal.POLICY] == 1
    await made.middleware.stop()


@pytest.mark.parametrize(
    ("agent", "hinted"),
    [(b"Gecko/20100101 Firefox/124.0", []), (b"AppleWebKit/537.36 Chrome/123 Safari", [2])],
    ids=["Firefox", "Chromium"],
)
async def test_103_names_what_needs_a_nonce_only_to_a_browser_that_fetches_it_once(
    agent: bytes, hinted: list[int]
) -> None:
    made = Served(Guarded())
    await made.teach()
    headers = [*NAVIGATION[:2], (b"user-agent", agent)]
    wire = await made.get(headers=headers, extensions={**ours(1), **HINT})

    assert [len(links) for links in wire.hinted] == hinted
    assert len(wire.links) == (0 if hinted else len(ASSETS))
    assert all(b"nonce=" in link for link in wire.links)
    await made.middleware.stop()
