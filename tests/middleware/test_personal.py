"""Pages that single users may read: nobody else is told of the assets that they show."""

from __future__ import annotations

import pytest

from headstart.deliver.rows import reasons_of
from headstart.export import LeftOut, Reason, plan_of
from headstart.learn import LearnOptions, Record, from_plain, to_plain
from tests.middleware.served import HINT, PUSH, Served, Wire, ours
from tests.server.apps import Headers, Receive, Scope, Send, body, start
from tests.visits import NO_CONTROL

DRAFT, PHOTO = "/drafts/7/", "/uploads/secret.jpg"
BROWSER: Headers = [(b"sec-fetch-mode", b"navigate"), (b"sec-fetch-dest", b"document")]
EDITOR: Headers = [*BROWSER, (b"cookie", b"session=1")]
HTML: Headers = [(b"content-type", b"text/html"), (b"cache-control", b"no-cache")]
CSS: Headers = [(b"content-type", b"text/css"), (b"cache-control", b"max-age=600")]
JPEG: Headers = [(b"content-type", b"image/jpeg"), (b"cache-control", b"max-age=600")]
AT_HOME, ELSEWHERE, ABROAD = ("192.0.2.1", 1), ("192.0.2.2", 1), ("192.0.2.3", 1)
STYLE = "/static/site.css"
BASIC: Headers = [*BROWSER, (b"authorization", b"Basic ZWRpdG9yOng=")]


class Drafts:
    """An application whose drafts can be read by editors, or by all once they are published.

    Attributes:
        published: All can read them.
        refusal: The status that others get: 404, or 200 with a form that asks for a password.
    """

    def __init__(self) -> None:
        self.published = False
        self.refusal = 404

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not scope["path"].endswith("/"):
            await send(start(200, CSS if scope["path"].endswith(".css") else JPEG))
        elif self.published or _has_credentials(scope):
            await send(start(200, HTML))
        else:
            await send(start(self.refusal, HTML))
        await send(body(b""))


def _has_credentials(scope: Scope) -> bool:
    return any(name in (b"cookie", b"authorization") for name, _ in scope["headers"])


class World(Served):
    """The middleware before such an application."""

    def __init__(self, learn: LearnOptions = NO_CONTROL) -> None:
        self.drafts = Drafts()
        super().__init__(self.drafts, learn=learn)
        self.connections = iter(range(1, 100))

    async def visit(
        self,
        headers: Headers,
        client: tuple[str, int],
        page: str = DRAFT,
        assets: tuple[str, ...] = (PHOTO,),
    ) -> Wire:
        """A visitor who sees the photo with the page."""
        connection = ours(next(self.connections))
        wire = await self.load(assets, connection, page=page, headers=headers, client=client)
        await self.later()
        return wire

    async def told(self, headers: Headers, client: tuple[str, int], page: str = DRAFT) -> set[str]:
        """Return the assets that somebody who asks for the page alone is told of, in any way."""
        found = set(await self.pushed(headers, client, page))
        for extensions in (HINT, {}):
            connection = {**ours(next(self.connections)), **extensions}
            wire = await self.get(page, headers, connection, client=client)
            links = [link for links in wire.hinted for link in links] + wire.links
            found.update(link.partition(b">")[0][1:].decode() for link in links)
        return found

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


FORGED: Headers = [*BROWSER, (b"cookie", b"session=made-up")]


@pytest.mark.parametrize("refusal", [404, 200])
async def test_made_up_cookies_from_several_addresses_are_not_told_of_what_one_user_saw(
    refusal: int,
) -> None:
    world = World()
    world.drafts.refusal = refusal
    for _ in range(8):
        await world.visit(EDITOR, AT_HOME)
    # One without a cookie gets a form: the page is not the user's alone, but its photo is.
    form = ours(next(world.connections))
    await world.load([STYLE], form, page=DRAFT, headers=BROWSER, client=ELSEWHERE)
    world.clock.now += 1.0
    await world.middleware.sync()

    for number in range(4, 8):
        attacker = (f"192.0.2.{number}", 1)
        assert PHOTO not in await world.told(FORGED, attacker)
        assert PHOTO not in await world.told(FORGED, attacker, f"/drafts/{number}/")
    assert PHOTO in await world.told(EDITOR, AT_HOME)


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


async def editors_read(world: World, assets: tuple[str, ...] = (PHOTO,)) -> None:
    """Several users who may read a draft look at it."""
    for client in (AT_HOME, ELSEWHERE, ABROAD) * 2:
        await world.visit(EDITOR, client, assets=assets)


@pytest.mark.parametrize("refusal", [404, 200])
async def test_stranger_is_not_told_of_assets_that_several_users_saw(refusal: int) -> None:
    world = World()
    world.drafts.refusal = refusal
    await editors_read(world)

    for number in range(4, 8):
        stranger = (f"192.0.2.{number}", 1)
        assert await world.told(BROWSER, stranger) == set()
        await world.later()
    assert await world.told(EDITOR, ("192.0.2.8", 1)) == {PHOTO}
    assert await world.told(BASIC, ("192.0.2.9", 1)) == {PHOTO}


async def test_users_with_credentials_in_another_field_have_assets_of_their_own_too() -> None:
    world = World()
    for client in (AT_HOME, ELSEWHERE, ABROAD):
        await world.visit(BASIC, client)

    assert await world.told(BROWSER, ("192.0.2.4", 1)) == set()
    assert await world.told(BASIC, ("192.0.2.5", 1)) == {PHOTO}


async def test_form_that_a_stranger_gets_in_place_of_the_page_publishes_its_own_assets_alone() -> (
    None
):
    world = World()
    world.drafts.refusal = 200
    await editors_read(world, (PHOTO, STYLE))
    await world.visit(BROWSER, ("192.0.2.4", 1), assets=(STYLE,))

    assert await world.told(BROWSER, ("192.0.2.5", 1)) == {STYLE}
    assert await world.told(EDITOR, ("192.0.2.6", 1)) == {PHOTO, STYLE}


async def test_strangers_are_not_told_of_them_with_any_other_page() -> None:
    world = World()
    world.drafts.refusal = 200
    for number in range(6):
        for client in (AT_HOME, ELSEWHERE, ABROAD):
            await world.visit(EDITOR, client, f"/drafts/{number}/")

    assert await world.told(BROWSER, ("192.0.2.4", 1), "/drafts/99/") == set()
    assert await world.told(BROWSER, ("192.0.2.4", 1), "/") == set()
    assert await world.told(EDITOR, ("192.0.2.5", 1), "/drafts/99/") == {PHOTO}


@pytest.mark.parametrize("by", ["votes", "map", "both"])
async def test_other_workers_and_a_restart_keep_what_several_users_saw(by: str) -> None:
    first, other = World(), World()
    votes: list[Record] = []
    for number, client in enumerate((AT_HOME, ELSEWHERE, ABROAD)):
        await first.load([PHOTO], ours(number), page=DRAFT, headers=EDITOR, client=client)
        first.clock.now += 30.0
        votes += first.middleware.learner.sync(first.clock.now)
    records: dict[str, list[Record]] = {
        "votes": votes,
        "map": list(first.middleware.learner.export()),
    }
    records["both"] = [*records["votes"], *records["map"]]
    other.middleware.learner.absorb([from_plain(to_plain(record)) for record in records[by]])

    assert await other.told(BROWSER, ("192.0.2.4", 1)) == set()
    assert await other.told(EDITOR, ("192.0.2.5", 1)) == {PHOTO}


async def test_map_of_another_worker_whose_visitors_had_no_cookies_ends_the_secret() -> None:
    ours_, theirs = World(), World()
    theirs.drafts.published = True
    await editors_read(ours_)
    for client in (AT_HOME, ELSEWHERE):
        await theirs.visit(BROWSER, client)
    ours_.middleware.learner.absorb(list(theirs.middleware.learner.export()))

    assert await ours_.told(BROWSER, ("192.0.2.4", 1)) == {PHOTO}


async def test_published_page_s_assets_are_everybody_s_once_one_visitor_asked_for_them() -> None:
    world = World()
    await editors_read(world)
    world.drafts.published = True
    await world.visit(BROWSER, ("192.0.2.4", 1))

    assert await world.told(BROWSER, ("192.0.2.5", 1)) == {PHOTO}


def cookies_of(number: int) -> Headers:
    """Return the fields of a visitor who comes back to a site that gave everybody a cookie."""
    return [*BROWSER, (b"cookie", b"_ga=GA1.2.%d; sessionid=%032d" % (number, number))]


class Shop:
    """An application that gives each visitor a session, as many of Django and WordPress do."""

    def __init__(self, fields: Headers) -> None:
        self.fields = [(b"content-type", b"text/html"), (b"vary", b"Cookie"), *fields]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not scope["path"].endswith("/"):
            await send(start(200, CSS))
        elif _has_credentials(scope):
            await send(start(200, self.fields))
        else:
            await send(start(200, [*self.fields, (b"set-cookie", b"sessionid=1; Path=/")]))
        await send(body(b""))


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [(b"cache-control", b"no-cache, must-revalidate, max-age=0")],
        [(b"cache-control", b"private, no-store")],
    ],
)
async def test_site_that_gives_everybody_a_cookie_is_learned_for_new_visitors(
    fields: Headers,
) -> None:
    world = World()
    world.middleware.app = Shop(fields)
    for number in range(1, 6):
        client = (f"198.51.100.{number}", 1)
        await world.visit(BROWSER, client, "/", (STYLE,))
        await world.visit(cookies_of(number), client, "/offers/", (STYLE,))

    assert await world.told(BROWSER, ("192.0.2.4", 1), "/") == {STYLE}
    assert await world.told(BROWSER, ("192.0.2.4", 1), "/offers/") == {STYLE}


async def test_one_new_visitor_suffices_where_only_visitors_who_return_were_here_before() -> None:
    world = World()
    world.middleware.app = Shop([])
    for number in range(1, 30):
        await world.visit(cookies_of(number), (f"198.51.100.{number}", 1), "/", (STYLE,))

    assert await world.told(cookies_of(40), ("198.51.100.40", 1), "/") == {STYLE}
    await world.visit(BROWSER, ("192.0.2.4", 1), "/", (STYLE,))
    assert await world.told(BROWSER, ("192.0.2.5", 1), "/") == {STYLE}


async def test_configuration_for_another_server_has_no_asset_of_users_alone() -> None:
    world = World()
    world.drafts.refusal = 200
    await editors_read(world, (PHOTO, STYLE))
    await world.visit(BROWSER, ("192.0.2.4", 1), "/", (STYLE,))

    plan = plan_of(world.middleware.learner)

    [draft] = [page for page in plan.pages if page.path == DRAFT]
    assert [link.target for link in draft.links] == [STYLE]
    assert LeftOut(DRAFT, PHOTO, Reason.PERSONAL) in plan.left_out


async def test_operator_reads_to_which_clients_such_an_asset_goes() -> None:
    world = World()
    await editors_read(world)

    said = "\n".join(reasons_of(world.middleware.learner, DRAFT, world.clock.now))

    assert f"{PHOTO}: sent by push, 103 or Link, to clients with cookies or credentials" in said
