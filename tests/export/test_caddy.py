"""Caddy, started with what was exported for it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from hypothesis import given

from headstart.export import LeftOut, Plan, Reason, configuration
from tests.export.asking import (
    PATIENCE,
    assert_each_page_gets_its_links,
    exported,
    hinted,
    page,
    place_with,
)
from tests.export.checks import BATCHES, assert_passes, few, random_pages
from tests.peers import peer
from tests.ports import free_port
from tests.servers import running

_CONFIGURATION = """
{{
    admin off
    auto_https off
    servers {{
        protocols h1 h2c
    }}
}}
http://:{port} {{
    bind 127.0.0.1
    import {path}/headstart.caddy
    rewrite * /index.php
    respond ok
}}
"""


@contextmanager
def caddy(text: str) -> Iterator[int]:
    with place_with("headstart.caddy", text) as place:
        port = free_port()
        path = place.write("Caddyfile", _CONFIGURATION.format(path=place.path, port=port))
        arguments = ["run", "--adapter", "caddyfile", "--config", str(path)]
        with running.process(place, "caddy", arguments, [port]):
            yield port


def test_each_page_gets_its_links_however_its_path_is_written() -> None:
    made = exported("caddy")

    with caddy(made.text) as port:
        assert_each_page_gets_its_links(made, port)


def test_navigation_over_http2_gets_a_103_first() -> None:
    one = page("/caf%C3%A9", 2)
    made = configuration(Plan("", (page("/", 1), one)), "caddy")

    with caddy(made.text) as port:
        url = f"http://127.0.0.1:{port}"
        navigation = "Sec-Fetch-Mode: navigate"
        assert hinted(url + one.path, navigation) == [f"103 {one.early}", f"200 {one.value}"]
        assert hinted(url + one.path) == [f"200 {one.value}"]
        assert hinted(url + "/other", navigation) == ["200 "]


def test_environment_is_not_read_for_what_stands_in_a_path() -> None:
    made = exported("caddy")

    with place_with("Caddyfile", f"http://:8080 {{\n{made.text}}}\n") as place:
        command = [peer("caddy"), "adapt", "--config", str(place.path / "Caddyfile")]
        adapted = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=True)

    assert rb"^/\\x7B\\x24HOME\\x7D$" in adapted.stdout


@few
@given(BATCHES)
def test_random_paths_pass_caddys_own_check(paths: list[str]) -> None:
    made = random_pages("caddy", paths)

    with place_with("headstart.caddy", made.text) as place:
        path = place.write("Caddyfile", _CONFIGURATION.format(path=place.path, port=8080))
        assert_passes("caddy", "validate", "--adapter", "caddyfile", "--config", str(path))


def test_link_that_the_file_would_expand_is_left_out() -> None:
    one = page("/", 1)
    expanded = replace(one, links=(replace(one.links[0], value="</a.css${HOME}>"),))

    made = configuration(Plan("", (expanded, page("/b", 2))), "caddy")

    assert [kept.path for kept in made.pages] == ["/b"]
    assert made.left_out == (LeftOut("/", "", Reason.SYNTAX),)
