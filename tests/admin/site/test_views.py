"""The pages of the admin port as a program reads them; `test_browser` has a browser read them."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest

from headstart.extras import install_command
from tests.admin.asked import Reply, administered, ask
from tests.admin.site.shop import ASSETS, OTHER, Visitors
from tests.server.live import ServerProcess, until

APP = "tests.admin.site.shop:app"
SITE = "http://localhost"
PLACES = ("/", "/pages", "/page?path=/", "/loads", "/server")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServerProcess, str]]:
    """A server with two processes, whose site was visited."""
    store = tmp_path_factory.mktemp("store") / "learned.sqlite3"
    with administered(APP, "--workers", "2", "--store", str(store)) as (server, address):
        Visitors(server.port).teach()
        yield server, address


@pytest.fixture(scope="module")
def unvisited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The admin port of a server whose site nobody has visited."""
    store = tmp_path_factory.mktemp("store") / "learned.sqlite3"
    with administered(APP, "--store", str(store)) as (_, address):
        yield address


def order(address: str, **fields: str) -> Reply:
    """Send a form as the page does."""
    page = ask(address, "/page?path=/").text
    token = re.search(r'name="csrf" value="([^"]+)"', page)
    assert token
    given = {"csrf": token[1], "site": SITE, "path": "/", **fields}
    kind = {"content-type": "application/x-www-form-urlencoded"}
    return ask(address, "/order", method="POST", headers=kind, body=urlencode(given))


@pytest.mark.parametrize("path", PLACES)
def test_page_before_the_first_visit_says_what_to_do(path: str, unvisited: str) -> None:
    reply = ask(unvisited, path)

    assert (reply.status, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")
    if path != "/server":
        assert "h2c load" in reply.text or "Open it in a browser" in reply.text


def test_page_without_learning_says_so() -> None:
    with administered(APP, "--no-learn") as (_, address):
        replies = [ask(address, path) for path in ("/", "/pages", "/loads")]

    assert all("Learning is switched off" in reply.text for reply in replies)


def test_order_leads_back_to_its_page(served: tuple[ServerProcess, str]) -> None:
    _, address = served

    reply = order(address, verb="pin", asset=OTHER)

    assert reply.status == 303
    shown = ask(address, reply.headers["location"]).text
    assert "It is always sent with this page from now on." in shown
    assert "pinned" in shown


def test_whole_url_of_the_site_can_be_pinned_and_another_sites_cannot(
    served: tuple[ServerProcess, str],
) -> None:
    _, address = served

    assert order(address, verb="pin", asset=SITE + "/whole.css").status == 303
    foreign = order(address, verb="pin", asset="http://evil.test/a.css")

    assert "/whole.css" in ask(address, "/page?path=/").text
    assert foreign.status == 400
    assert "http://evil.test/a.css is not on the site of the page" in foreign.text


def test_order_without_the_forms_token_is_refused(served: tuple[ServerProcess, str]) -> None:
    _, address = served

    assert order(address, verb="pin", asset="/forged.css", csrf="").status == 403
    assert ask(address, "/order?verb=pin&asset=/forged.css&path=/").status == 405
    assert "/forged.css" not in ask(address, "/page?path=/").text


def test_order_reaches_other_servers_through_the_store(tmp_path: Path) -> None:
    store = str(tmp_path / "learned.sqlite3")
    with (
        administered(APP, "--store", store) as (first, address),
        administered(APP, "--store", store) as (second, other),
    ):
        Visitors(first.port).visit("/", ASSETS)
        assert order(address, verb="pin", asset=OTHER).status == 303
        until(lambda: OTHER in ask(other, "/page?path=/").text, "the pin")
        assert OTHER in Visitors(second.port).visit("/", ()).promised


def test_list_of_pages_has_parts(tmp_path: Path) -> None:
    with administered(APP, "--store", str(tmp_path / "learned.sqlite3")) as (server, address):
        visitors = Visitors(server.port)
        for number in range(30):
            visitors.visit(f"/page-{chr(97 + number % 26)}{'x' * (number // 26)}", ASSETS)
        until(lambda: "1 to 25 of 31" in ask(address, "/pages").text)

        first, second = ask(address, "/pages").text, ask(address, "/pages?from=25").text
        beyond = ask(address, "/pages?from=9000").text

    assert 'rel="next"' in first
    assert 'rel="prev"' not in first
    assert "26 to 31 of 31" in second
    assert 'rel="prev"' in second
    assert 'rel="next"' not in second
    assert "The list ends before this part" in beyond


def test_site_that_is_not_known_leads_to_one_that_is(served: tuple[ServerProcess, str]) -> None:
    _, address = served

    for path in ("/", "/pages", "/loads"):
        shown = ask(address, f"{path}?site=https://other.test").text
        assert "Nothing is known of this site" in shown
        assert f'href="?site={quote(SITE, safe="")}"' in shown


def test_token_is_enough_for_all_of_a_page(tmp_path: Path) -> None:
    """A browser sends the name and the password with each request, for files and events, too."""
    token = tmp_path / "token"
    token.write_text("a-token-of-some-length")
    basic = {"authorization": "Basic " + b64encode(b"me:a-token-of-some-length").decode()}
    given = ("--admin-token-file", str(token))
    with administered(APP, *given) as (_, address):
        paths = ("/", "/admin.css", "/admin.js", "/icon.svg")
        assert [ask(address, path).status for path in paths] == [401] * 4
        assert [ask(address, path, headers=basic).status for path in paths] == [200] * 4


@pytest.mark.parametrize("start", ["-1", "x", "1e9", "9" * 30, "²"])
def test_part_that_is_not_one_is_the_first(served: tuple[ServerProcess, str], start: str) -> None:
    _, address = served

    assert "1 to " in ask(address, "/pages?from=" + quote(start)).text


def test_files_of_the_pages_have_their_types(served: tuple[ServerProcess, str]) -> None:
    _, address = served

    kinds = {
        path: ask(address, path).headers["content-type"]
        for path in ("/admin.css", "/admin.js", "/icon.svg")
    }

    assert kinds == {
        "/admin.css": "text/css; charset=utf-8",
        "/admin.js": "text/javascript; charset=utf-8",
        "/icon.svg": "image/svg+xml",
    }


def test_pages_without_jinja_say_what_to_install(tmp_path: Path) -> None:
    """A folder whose `jinja2` cannot be imported stands before the real one."""
    (tmp_path / "jinja2.py").write_text("raise ImportError('not installed')\n")
    given = ("--app-dir", str(tmp_path))
    with administered(APP, *given) as (_, address):
        reply = ask(address, "/")
        health = ask(address, "/healthz")

    assert (reply.status, health.status) == (501, 200)
    assert install_command("admin") in reply.text
