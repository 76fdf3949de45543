"""HAProxy, started with what was exported for it."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hypothesis import given

from headstart.export import Plan, configuration
from headstart.learn.logs import httplog
from headstart.learn.logs.bare import bare_format_of
from headstart.learn.logs.text import fields_of
from tests.export.asking import (
    PATIENCE,
    assert_each_page_gets_its_links,
    exported,
    hinted,
    page,
)
from tests.export.checks import BATCHES, assert_passes, few, random_pages
from tests.ports import free_port
from tests.server.live import until
from tests.servers import running

_CONFIGURATION = """
global
    nbthread 1
defaults
    mode http
    timeout connect 10s
    timeout client 60s
    timeout server 60s
frontend people
    bind 127.0.0.1:{port}
    bind 127.0.0.1:{h2} proto h2
{text}
    default_backend behind
backend behind
    server one 127.0.0.1:{upstream}
frontend upstream
    bind 127.0.0.1:{upstream}
    option accept-invalid-http-request
    http-request return status 200 content-type text/html string ok
"""


@contextmanager
def haproxy(text: str) -> Iterator[tuple[int, int]]:
    with running.folder() as place:
        port, h2, upstream = (free_port() for _ in range(3))
        filled = _CONFIGURATION.format(text=text, port=port, h2=h2, upstream=upstream)
        path = place.write("haproxy.cfg", filled)
        with running.process(place, "haproxy", ["-db", "-f", str(path)], [port, h2, upstream]):
            yield port, h2


def test_each_page_gets_its_links_however_its_path_is_written() -> None:
    made = exported("haproxy")

    with haproxy(made.text) as (port, _):
        assert_each_page_gets_its_links(made, port)


def test_navigation_over_http2_gets_a_103_first() -> None:
    one = page("/caf%C3%A9", 2)
    made = configuration(Plan("", (page("/", 1), one)), "haproxy")

    with haproxy(made.text) as (_, h2):
        url = f"http://127.0.0.1:{h2}"
        navigation = "Sec-Fetch-Mode: navigate"
        assert hinted(url + one.path, navigation) == [f"103 {one.early}", f"200 {one.value}"]
        assert hinted(url + one.path) == [f"200 {one.value}"]
        assert hinted(url + "/other", navigation) == ["200 "]


def test_page_whose_links_no_103_may_have_gets_none() -> None:
    one = page("/", 1)
    late = type(one)(one.path, one.links[:1])
    made = configuration(Plan("", (late,)), "haproxy")

    with haproxy(made.text) as (_, h2):
        found = hinted(f"http://127.0.0.1:{h2}/", "Sec-Fetch-Mode: navigate")
        assert found == [f"200 {late.value}"]


@few
@given(BATCHES)
def test_random_paths_pass_haproxys_own_check(paths: list[str]) -> None:
    made = random_pages("haproxy", paths)

    with running.folder() as place:
        filled = _CONFIGURATION.format(text=made.text, port=8080, h2=8081, upstream=8082)
        assert_passes("haproxy", "-c", "-f", str(place.write("haproxy.cfg", filled)))


_LOGGING = """
global
    nbthread 1
    log stdout format raw local0
defaults
    mode http
    log global
    timeout connect 10s
    timeout client 60s
    timeout server 60s
frontend combined
    bind 127.0.0.1:{combined}
{lines}
    http-request return status 200 content-type text/html string ok
frontend httplog
    bind 127.0.0.1:{httplog}
    option httplog
    http-request capture req.hdr(referer) len 512
    http-request capture req.hdr(user-agent) len 256
    http-request return status 200 content-type text/html string ok
frontend clf
    bind 127.0.0.1:{clf}
    option httplog clf
    http-request return status 200 content-type text/html string ok
"""
_DOCS = Path(__file__).parents[2] / "docs" / "map.md"


def test_its_clf_log_is_known_to_have_no_referer_and_the_format_of_the_docs_has_one() -> None:
    [lines] = re.findall(r"```\n(http-request capture.*?)```", _DOCS.read_text(), re.DOTALL)
    ports = {"combined": free_port(), "httplog": free_port(), "clf": free_port()}
    with running.folder() as place:
        path = place.write("haproxy.cfg", _LOGGING.format(lines=lines, **ports))
        with running.process(place, "haproxy", ["-db", "-f", str(path)], list(ports.values())):
            for port in ports.values():
                ask = urllib.request.Request(f"http://127.0.0.1:{port}/a.css?ver=1")
                ask.add_header("Referer", 'https://shop.example/"a"')
                ask.add_header("User-Agent", "Browser/1.0")
                urllib.request.urlopen(ask, timeout=PATIENCE).close()
            # It logs a request once the response is gone.
            until(lambda: place.log.read_text().count("/a.css") == len(ports), "both lines")
        logged = [line for line in place.log.read_text().splitlines() if "/a.css" in line]

    combined, captured, clf = logged
    read = httplog.fields_of(captured)
    assert read is not None
    assert (read["url"], read["agent"], read["client"]) == (
        *("/a.css?ver=1", "Browser/1.0"),
        "127.0.0.1",
    )
    assert read["referer"] == 'https://shop.example/"a"'
    fields = fields_of(combined)
    assert fields is not None
    assert (fields["url"], fields["agent"]) == ("/a.css?ver=1", "Browser/1.0")
    assert fields["referer"] == 'https://shop.example/"a"'
    assert bare_format_of(combined) is None
    found = bare_format_of(clf)
    assert found is not None
    assert found.name == "HAProxy's clf format"
