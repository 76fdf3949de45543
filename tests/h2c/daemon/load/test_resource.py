"""What is wanted, and what came of it."""

from __future__ import annotations

import pytest

from headstart.h2c.daemon.load.resource import Kind, Load, Reference, Way, resolve, wants
from tests.h2c.daemon.load.samples import PAGE, sample


@pytest.mark.parametrize(
    ("reference", "url"),
    [
        ("x", PAGE + "x"),
        ("/x?y#z", "https://a.test/x?y"),
        (" \n x \t", PAGE + "x"),
        ("//b.test", "https://b.test/"),
        ("//B.test:443/x", "https://b.test/x"),
        ("https://stra\xdfe.test/\xfc", "https://xn--strae-oqa.test/%C3%BC"),
        ("/a b\udcff", "https://a.test/a%20b%FF"),
        ("https://me@b.test/", "https://me@b.test/"),
        ("https://a\u200db.test/", "https://a\u200db.test/"),
        ("?q", PAGE + "?q"),
        ("", None),
        ("#a", None),
        ("mailto:a@b", None),
        ("data:,x", None),
        ("http:x", None),
        ("http://[x", None),
    ],
)
def test_references_are_resolved(reference: str, url: str | None) -> None:
    assert resolve(PAGE, reference) == url


def test_a_page_that_links_itself_wants_nothing() -> None:
    assert wants(PAGE, [Reference("", Kind.IMAGE), Reference(".", Kind.IMAGE)]) == []


def test_a_load_knows_its_sums() -> None:
    load = sample()

    assert (load.duration, load.size) == (0.2, 9000)
    assert [one.name for one in load.by(Way.PUSH)] == ["/dir/b.js"]
    assert [one.name for one in load.wasted] == ["/dir/unused.png"]
    assert [one.name for one in load.failed] == ["/dir/failed.png"]
    assert Load(PAGE).duration == 0.0
