"""nginx, started with what was exported for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hypothesis import given

from headstart.export import Plan, configuration
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
