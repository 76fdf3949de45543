"""What keeps a site from being learned is noticed, told once in the log, and kept."""

from __future__ import annotations

import logging

import pytest

from headstart.learn import Cause, LearnOptions
from tests.middleware.served import ASSETS, HINT, NAVIGATION, PAGE, Served, ours, site
from tests.server.apps import Headers, Scope
from tests.visits import Found, Site, answer_head

ORIGIN = "https://example.test"


@pytest.fixture(autouse=True)
def at_info(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "headstart.middleware")


class Strict(Site):
    """Its pages forbid the Referer."""

    def _other(self, scope: Scope) -> Found:
        return Found([*answer_head("text/html"), (b"referrer-policy", b"no-referrer")], 200)


def found_of(served: Served) -> set[tuple[Cause, str]]:
    return {(found.cause, found.where) for found in served.middleware.learner.findings}


@pytest.mark.parametrize(
    ("headers", "cause"),
    [
        (answer_head("text/css", cache=b"no-store"), Cause.NO_STORE),
        (answer_head("text/css", cache=b"private"), Cause.PRIVATE),
        (answer_head("text/css", (b"set-cookie", b"a=1")), Cause.SETS_COOKIE),
        (answer_head("text/css", (b"vary", b"Cookie")), Cause.VARIES),
    ],
)
async def test_assets_that_may_not_be_learned_are_told_once_with_their_folder(
    headers: Headers, cause: Cause, caplog: pytest.LogCaptureFixture
) -> None:
    app = site()
    assets = [f"/static/css/{number}.css?token=secret" for number in range(4)]
    app.found |= {asset: Found(headers) for asset in assets}
    made = Served(app)
    for number in range(3):
        await made.load(assets, ours(number))

    assert found_of(made) == {(cause, "/static/*")}
    [told] = [r.getMessage() for r in caplog.records if "not learned" in r.getMessage()]
    assert told.startswith(f"{ORIGIN}: Assets under /static/* are not learned: their responses")
    assert "secret" not in told
    await made.middleware.stop()


@pytest.mark.parametrize("read", [True, False])
async def test_query_without_a_version_or_a_lifetime_is_told_if_no_html_names_it(
    read: bool,
) -> None:
    app = site()
    assets = [f"/named.css?{number}" for number in range(4)]
    app.found |= {asset: Found([(b"content-type", b"text/css")]) for asset in [*assets, "/by.js?x"]}
    html = "".join(f"<link rel=stylesheet href={asset}>" for asset in assets)
    app.found[PAGE] = Found(answer_head("text/html"), content=html.encode())
    made = Served(app, learn=LearnOptions(control_share=0, read_pages=read))
    stranger = NAVIGATION[:3]  # without the cookie
    for number in range(3):
        await made.load(assets, ours(number), headers=stranger)
        await made.later()
    told = {(Cause.UNKNOWN_VERSION, "/*")}
    assert found_of(made) == (set() if read else told)

    for number in range(3, 7):
        await made.load(["/by.js?x"], ours(number), headers=stranger)

    assert found_of(made) == told
    await made.middleware.stop()


@pytest.mark.parametrize(
    ("strict", "cause"), [(False, Cause.NO_REFERER), (True, Cause.REFERRER_POLICY)]
)
async def test_assets_without_a_referer_are_told_with_the_policy_that_takes_it(
    strict: bool, cause: Cause
) -> None:
    app = Strict() if strict else site()
    app.found = site().found
    made = Served(app)
    for number in range(11):
        await made.get(PAGE, NAVIGATION, ours(number))
        for asset in ASSETS:
            await made.get(asset, [], ours(number))

    assert found_of(made) == {(cause, "")}
    await made.middleware.stop()


async def test_referer_with_another_scheme_is_told() -> None:
    made = Served()
    for number in range(3):
        await made.get(PAGE, NAVIGATION, ours(number))
        await made.get("/site.css", [(b"referer", b"http://example.test/page/")], ours(number))

    assert found_of(made) == {(Cause.OTHER_SCHEME, "")}
    await made.middleware.stop()


async def test_site_that_is_asked_over_http_1_1_alone_is_told_so() -> None:
    old, mixed = Served(), Served()
    for number in range(21):
        await old.get(PAGE, NAVIGATION, http_version="1.1")
        await mixed.get(PAGE, NAVIGATION, ours(number))
        await mixed.get(PAGE, NAVIGATION, http_version="1.1")

    assert (found_of(old), found_of(mixed)) == ({(Cause.HTTP_1, "")}, set())
    for made in (old, mixed):
        await made.middleware.stop()


async def test_site_that_is_learned_well_is_told_nothing(served: Served) -> None:
    for number in range(12):
        await served.load(ASSETS, ours(number))
        await served.get("/favicon.png", [(b"referer", b"https://elsewhere.test/")], ours(number))
        await served.get("/me.json", [], ours(number))

    assert found_of(served) == set()


async def test_sites_and_folders_that_are_counted_are_bounded() -> None:
    app = site()
    assets = [f"/{number}/a.css" for number in range(60)]
    app.found |= {asset: Found(answer_head("text/css", cache=b"no-store")) for asset in assets}
    made = Served(app)
    for _ in range(3):
        await made.load(assets, ours(1))
    for number in range(40):
        await made.get(PAGE, [(b"host", b"%d.test" % number), *NAVIGATION], ours(number + 2))

    diagnosis = made.middleware.shared.diagnosis
    assert len(found_of(made)) == 32
    assert len(diagnosis._sites) == 20
    await made.middleware.stop()


async def hinted_and_fetched(times: int, *more: tuple[bytes, bytes]) -> Served:
    """Visitors who are told of an asset in a 103, and ask for it so many times."""
    made = Served(site())
    await made.teach()
    for number in range(6):
        wire = await made.get(PAGE, NAVIGATION, {**ours(number), **HINT})
        assert wire.hinted
        for again in range(times):
            fields = [(b"referer", ORIGIN.encode() + PAGE.encode()), *(more if again else ())]
            await made.get(ASSETS[0], fields, ours(number))
    return made


async def test_assets_that_browsers_fetch_twice_after_a_103_are_told() -> None:
    assert found_of(await hinted_and_fetched(2)) == {(Cause.FETCHED_TWICE, "")}


async def test_assets_that_are_fetched_once_or_only_checked_again_are_not_told() -> None:
    assert found_of(await hinted_and_fetched(1)) == set()
    assert found_of(await hinted_and_fetched(2, (b"if-none-match", b'"1"'))) == set()
