"""The waterfall as SVG."""

from __future__ import annotations

from xml.etree.ElementTree import Element, fromstring

from hypothesis import given
from hypothesis import strategies as st

from headstart.h2c.daemon.load.picture import WIDTH, picture
from headstart.h2c.daemon.load.resource import Load
from tests.h2c.daemon.load.samples import PAGE, sample

SVG = "{http://www.w3.org/2000/svg}"


def drawn(load: Load) -> Element:
    return fromstring(picture(load))


def texts(root: Element) -> list[str]:
    return [element.text or "" for element in root.iter(f"{SVG}text")]


def test_it_says_what_was_loaded_and_how() -> None:
    root = drawn(sample())

    shown = texts(root)
    assert PAGE in shown
    assert "7 resources, 9.00 kB in 200 ms: 4 requested, 1 hinted, 1 pushed" in shown
    assert {"connecting", "requested", "hinted", "pushed", "103 Early Hints"} <= set(shown)
    assert {"/dir/a.css", "200", "404", "failed", "5.00 kB"} <= set(shown)


def test_every_bar_is_within_the_picture() -> None:
    root = drawn(sample())

    bars = list(root.iter(f"{SVG}rect"))
    height = float(root.get("height") or 0)
    for bar in bars:
        x, y, width, tall = (float(bar.get(name) or 0) for name in ("x", "y", "width", "height"))
        assert 0 <= x <= x + width <= WIDTH
        assert 0 <= y <= y + tall <= height
    assert len(bars) > 7


def test_each_line_tells_more_where_the_pointer_rests() -> None:
    titles = [element.text for element in drawn(sample()).iter(f"{SVG}title")]

    assert "/dir/b.js, 200, 1.00 kB, push, from 25 ms, for 35 ms" in titles


def test_it_holds_nothing_that_runs_or_is_fetched() -> None:
    text = picture(sample()).decode()

    assert "<script" not in text
    assert "href" not in text
    assert text.count("http") == text.count(PAGE) + 1  # the name space


def test_nothing_is_drawn_too() -> None:
    assert drawn(Load(PAGE)).tag == f"{SVG}svg"


@given(st.text(max_size=60))
def test_whatever_a_url_holds_it_is_xml(text: str) -> None:
    load = sample()
    load.url = f"https://a.test/{text}"
    for one in load.resources:
        one.url = f"https://b.test/{text}"

    drawn(load)
