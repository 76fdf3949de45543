"""Pages that single users may read: nobody else is told of the assets that they show."""

from __future__ import annotations

import pytest

from headstart.learn import Answer, LearnOptions, Request
from headstart.learn.safety import is_personal
from tests.middleware.served import PUSH, Served, Wire, ours
from tests.server.apps import Headers, Receive, Scope, Send, body, start
from tests.visits import NO_CONTROL

DRAFT, PHOTO = "/drafts/7/", "/uploads/secret.jpg"
BROWSER: Headers = [(b"sec-fetch-mode", b"navigate"), (b"sec-fetch-dest", b"document")]
EDITOR: Headers = [*BROWSER, (b"cookie", b"session=1")]
HTML: Headers = [(b"content-type", b"text/html"), (b"cache-control", b"no-cache")]
JPEG: Headers = [(b"content-type", b"image/jpeg"), (b"cache-control", b"max-age=600")]
AT_HOME, ELSEWHERE = ("192.0.2.1", 1), ("192.0.2.2", 1)


class Drafts:
    """An application whose drafts can be read by editors, or by all once they are published."""

    def __init__(self) -> None:
        self.published = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not scope["path"].endswith("/"):
            await send(start(200, JPEG))
        elif self.published or any(name == b"cookie" for name, _ in scope["headers"]):
            await send(start(200, HTML))
        else:
            await send(start(404, HTML))
        await send(body(b""))


class World(Served):
    """The middleware before such an application."""

    def __init__(self, learn: LearnOptions = NO_CONTROL) -> None:
        self.drafts = Drafts()
        super().__init__(self.drafts, learn=learn)
        self.connections = iter(range(1, 100))

    async def visit(self, headers: Headers, client: tuple[str, int], page: str = DRAFT) -> Wire:
        """A visitor who sees the photo with the page."""
        connection = ours(next(self.connections))
        wire = await self.load([PHOTO], connection, page=page, headers=headers, client=client)
        await self.later()
        return wire

    async def pushed(
        self, headers: Headers, client: tuple[str, int], page: str = DRAFT
    ) -> list[str]:
        """What somebody gets pushed who asks for the page alone."""
        extensions = {**ours(next(self.connections)), **PUSH}
        return (await self.get(page, headers, extensions, client=client)).pushed


async def test_stranger_who_asks_for_a_page_of_one_user_is_not_told_of_its_assets() -> None:
    world = World()
    for _ in range(3):
        await world.visit(EDITOR, AT_HOME)

    assert await world.pushed(BROWSER, ELSEWHERE) == []
    assert await world.pushed([*BROWSER, (b"cookie", b"visits=3")], ELSEWHERE) == []
    assert await world.pushed(EDITOR, AT_HOME) == [PHOTO]


async def test_other_pages_do_not_borrow_what_one_user_saw() -> None:
    world = World()
    for number in range(4):
        await world.visit(EDITOR, AT_HOME, f"/drafts/{number}/")

    assert await world.pushed(BROWSER, ELSEWHERE, "/drafts/99/") == []
    assert await world.pushed(BROWSER, ELSEWHERE, "/") == []


async def test_page_that_is_published_is_everybody_s_after_one_visitor() -> None:
    world = World()
    await world.visit(EDITOR, AT_HOME)
    world.drafts.published = True
    await world.visit(BROWSER, ELSEWHERE)

    assert await world.pushed(BROWSER, ("192.0.2.3", 1)) == [PHOTO]


async def test_two_users_who_may_read_a_page_teach_it() -> None:
    world = World()
    await world.visit(EDITOR, AT_HOME)
    await world.visit(EDITOR, ELSEWHERE)

    assert await world.pushed(EDITOR, ("192.0.2.3", 1)) == [PHOTO]


async def test_other_workers_and_a_restart_keep_the_secret() -> None:
    first, other, later = World(), World(), World()
    await first.load([PHOTO], ours(1), page=DRAFT, headers=EDITOR, client=AT_HOME)
    first.clock.now += 30.0
    other.middleware.learner.absorb(first.middleware.learner.sync(first.clock.now))
    later.middleware.learner.absorb(list(first.middleware.learner.export()))

    for world in (other, later):
        assert await world.pushed(BROWSER, ELSEWHERE) == []
        assert await world.pushed(EDITOR, AT_HOME) == [PHOTO]


async def test_operator_who_pins_an_asset_sends_it_to_all() -> None:
    world = World()
    await world.visit(EDITOR, AT_HOME)
    world.middleware.learner.pin(DRAFT, PHOTO)

    assert await world.pushed(BROWSER, ELSEWHERE) == [PHOTO]


@pytest.mark.parametrize(
    ("cookies", "cache_control", "vary", "personal"),
    [
        (False, "private, no-store", "Cookie", False),
        (True, None, "", True),
        (True, "no-cache", "", True),
        (True, "max-age=0, must-revalidate", "", True),
        (True, "private, max-age=600", "", True),
        (True, "max-age=600", "Accept, Cookie", True),
        (True, "max-age=600", "*", True),
        (True, "max-age=600", "Accept-Encoding", False),
        (True, "public, no-cache", "", False),
    ],
)
def test_page_is_personal_if_no_cache_may_share_it_and_its_reader_had_credentials(
    cookies: bool, cache_control: str | None, vary: str, personal: bool
) -> None:
    request = Request("https://example.test", DRAFT, "192.0.2.1")
    answer = Answer(200, "text/html", cache_control=cache_control, vary=vary)

    assert is_personal(request, answer, cookies=cookies) is personal
    authorized = request._replace(authorized=True)
    assert is_personal(authorized, answer, cookies=cookies) is (personal or not cookies)
