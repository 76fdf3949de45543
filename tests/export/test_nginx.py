"""nginx, started with what was exported for it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hypothesis import given

from headstart.export import Plan, configuration
from tests.cli.command import headstart_says
from tests.export.asking import (
    assert_each_page_gets_its_links,
    exported,
    links_of,
    page,
    place_with,
    pushed,
)
from tests.export.checks import BATCHES, assert_passes, few, random_pages
from tests.ports import free_port
from tests.servers.nginx import arguments_for, nginx_with, require_push

_HTTP = """
include {path}/headstart.conf;
server {{
    listen 127.0.0.1:{port};
    add_header Link $headstart_link;
    location / {{ rewrite ^ /index.php last; }}
    location = /index.php {{ return 200 ok; }}
}}
server {{
    listen 127.0.0.1:{h2} http2;
    add_header Link $headstart_link;
    {pushing}
    location / {{ return 200 ok; }}
}}
"""


@contextmanager
def nginx(text: str, pushing: str = "") -> Iterator[tuple[int, int]]:
    with place_with("headstart.conf", text) as place:
        port, h2 = free_port(), free_port()
        http = _HTTP.format(path=place.path, port=port, h2=h2, pushing=pushing)
        with nginx_with(place, http, [port, h2]):
            yield port, h2


def test_each_page_gets_its_links_however_its_path_is_written() -> None:
    made = exported("nginx")

    with nginx(made.text) as (port, _):
        assert_each_page_gets_its_links(made, port)


def _wordpress_log() -> str:
    """Visitors load two pages, half of them each, of a site with versions in its assets' queries.

    Each also has a token of its own in the URL of a stylesheet, and a new number for a script.
    """
    lines = []
    for visitor in range(12):
        page_path = ("/", "/hello-world/")[visitor % 2]
        assets = [
            "/wp-content/themes/shop/style.css?ver=6.1.9",
            "/wp-includes/js/jquery/jquery.min.js?ver=3.7.1",
            f"/wp-content/account.css?token=secret{visitor}",
            f"/wp-content/fresh.js?_={visitor}",
            "/wp-admin/load-styles.php?load=common",
        ]
        for path in (page_path, *assets):
            referer = "-" if path == page_path else f"https://blog.example{page_path}"
            lines.append(
                f"192.0.2.{visitor} - - [02/Mar/2026:{visitor:02}:00:00 +0000] "
                f'"GET {path} HTTP/1.1" 200 1000 "{referer}" "Browser/{visitor % 3}"\n'
            )
    return "".join(lines)


def test_log_of_wordpress_makes_nginx_send_the_versions_and_nobodys_token(tmp_path: Path) -> None:
    log, store = tmp_path / "access.log", str(tmp_path / "map.sqlite3")
    log.write_text(_wordpress_log())

    replayed, _, _ = headstart_says("replay", str(log), "--save", store)
    exporting, text, _ = headstart_says("map", "export", "--format", "nginx", "--store", store)

    assert (replayed, exporting) == (0, 0)
    with nginx(text) as (port, _):
        for page_path in ("/", "/hello-world/"):
            status, links = links_of(port, page_path)
            assert status == 200
            assert sorted(re.findall("<(.*?)>", links)) == [
                "/wp-content/themes/shop/style.css?ver=6.1.9",
                "/wp-includes/js/jquery/jquery.min.js?ver=3.7.1",
            ]
    assert "secret" not in text
    assert "fresh.js" not in text


def test_links_are_pushed_by_an_nginx_that_pushes() -> None:
    require_push()
    made = configuration(Plan("", (page("/", 1),)), "nginx")

    with nginx(made.text, "http2_push_preload on;") as (_, h2):
        assert pushed(f"http://127.0.0.1:{h2}/") == {"/1/a$b%20'c.css", "/1.js"}
        assert pushed(f"http://127.0.0.1:{h2}/other") == set()


def test_short_paths_need_no_other_size_of_hash() -> None:
    made = configuration(Plan("", (page("/a", 1),)), "nginx")

    with nginx(made.text) as (port, _):
        assert links_of(port, "/a")[1] == made.pages[0].value
    assert "map_hash_bucket_size" not in made.text


def test_path_that_is_too_long_for_a_token_is_left_out() -> None:
    made = configuration(Plan("", (page("/" + "a" * 3500, 1), page("/b", 2))), "nginx")

    assert [one.path for one in made.pages] == ["/b"]
    assert made.left_out[0].page == "/" + "a" * 3500


@few
@given(BATCHES)
def test_random_paths_pass_nginx_own_check(paths: list[str]) -> None:
    made = random_pages("nginx", paths)

    with place_with("headstart.conf", made.text) as place:
        ports = {"port": free_port(), "h2": free_port()}
        http = _HTTP.format(path=place.path, pushing="", **ports)
        assert_passes("nginx", "-t", *arguments_for(place, http))
