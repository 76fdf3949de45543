"""h2o, started with what was exported for it."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from textwrap import indent

from hypothesis import given

from headstart.export import Plan, configuration
from tests.export.asking import (
    PATIENCE,
    assert_each_page_gets_its_links,
    exported,
    page,
    place_with,
    pushed,
)
from tests.export.checks import BATCHES, assert_passes, few, random_pages
from tests.ports import free_port
from tests.servers import running

_CONFIGURATION = """
num-threads: 1
listen:
  host: 127.0.0.1
  port: {port}
hosts:
  default:
    paths:
      "/":
        mruby.handler-file: {path}/headstart.rb
        file.file: {root}/page.html
"""


@contextmanager
def h2o(text: str) -> Iterator[int]:
    with place_with("headstart.rb", text) as place:
        port = free_port()
        path = place.write(
            "h2o.yaml", _CONFIGURATION.format(path=place.path, root=place.root, port=port)
        )
        with running.process(place, "h2o", ["-c", str(path)], [port]):
            yield port


def test_each_page_gets_its_links_however_its_path_is_written() -> None:
    made = exported("h2o")

    with h2o(made.text) as port:
        assert_each_page_gets_its_links(made, port)


def test_links_are_pushed() -> None:
    made = configuration(Plan("", (page("/", 1),)), "h2o")

    with h2o(made.text) as port:
        assert pushed(f"http://127.0.0.1:{port}/") == {"/1/a$b%20'c.css", "/1.js"}
        assert pushed(f"http://127.0.0.1:{port}/other") == set()


# Debian's h2o is older than `rack.early_hints`. This one stands for it, and answers with its links.
_OFFERING = """
        mruby.handler: |
          exported = begin
{text}
          end
          Proc.new do |env|
            hinted = "none"
            env["rack.early_hints"] = Proc.new {{|fields| hinted = fields["link"] }}
            exported.call(env)
            [200, {{"x-hinted" => hinted}}, []]
          end
"""


def test_navigation_is_hinted_where_h2o_offers_it() -> None:
    one = page("/caf%C3%A9", 2)
    late = replace(page("/late", 3), links=one.links[:1])
    made = configuration(Plan("", (one, late)), "h2o")
    head = _CONFIGURATION.partition("        mruby")[0]

    with place_with("headstart.rb", made.text) as place:
        port = free_port()
        text = head + _OFFERING.format(text=indent(made.text, " " * 12))
        path = place.write("h2o.yaml", text.replace("{port}", str(port)))
        with running.process(place, "h2o", ["-c", str(path)], [port]):
            navigation = {"Sec-Fetch-Mode": "navigate"}
            assert hinted_to(port, one.path, navigation) == one.early
            assert hinted_to(port, one.path, {}) == "none"
            assert hinted_to(port, late.path, navigation) == "none"
            assert hinted_to(port, "/other", navigation) == "none"


def hinted_to(port: int, path: str, fields: dict[str, str]) -> str | None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request("GET", path, headers=fields)
        return connection.getresponse().headers["x-hinted"]
    finally:
        connection.close()


@few
@given(BATCHES)
def test_random_paths_pass_h2os_own_check(paths: list[str]) -> None:
    made = random_pages("h2o", paths)

    with place_with("headstart.rb", made.text) as place:
        filled = _CONFIGURATION.format(path=place.path, root=place.root, port=free_port())
        assert_passes("h2o", "-t", "-c", str(place.write("h2o.yaml", filled)))
