"""The picture: bars as long as their figures, and text that cannot break out."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from bench.picture import SECTIONS, bars, draw
from bench.rounds import Result
from bench.sample import Sample
from bench.scenarios import SCENARIOS, Kind, Part, named
from tests.bench.made import result, samples

SVG = "{http://www.w3.org/2000/svg}"


def drawn(*results: Result) -> ET.Element:
    return ET.fromstring(draw(results))


def widths(root: ET.Element, kind: str) -> list[float]:
    return [float(r.attrib["width"]) for r in root.iter(f"{SVG}rect") if r.get("class") == kind]


def texts(root: ET.Element) -> list[str]:
    return [element.text or "" for element in root.iter(f"{SVG}text")]


def test_bars_are_as_long_as_their_medians() -> None:
    root = drawn(result())

    (ours,) = widths(root, "ours")
    h2corn, granian = widths(root, "bar")
    assert ours == pytest.approx(h2corn, abs=0.2)
    assert granian == pytest.approx(ours / 4, abs=0.2)
    assert "200" in texts(root)


def test_spread_reaches_from_the_lowest_to_the_highest_round() -> None:
    root = drawn(result())

    ours = next(root.iter(f"{SVG}line"))
    (bar,) = [r for r in root.iter(f"{SVG}rect") if r.get("class") == "ours"]
    start, width = float(bar.attrib["x"]), float(bar.attrib["width"])
    assert float(ours.attrib["x1"]) == pytest.approx(start + width / 2, abs=0.2)
    assert float(ours.attrib["x2"]) == pytest.approx(start + width * 1.5, abs=0.2)


def test_limit_is_told_in_words_and_leaves_the_scale_to_the_others() -> None:
    alone, beside = result(), result()
    beside.samples["nghttpd"] = samples(10_000)

    assert widths(drawn(beside), "ours") == widths(drawn(alone), "ours")
    assert "10,000, in C, the limit" in texts(drawn(beside))


def test_limit_has_a_bar_where_less_is_better() -> None:
    scenario = named("memory")
    assert scenario is not None
    one = [Sample(0.0, 1, 0, 0, memory=2048.0)]
    root = drawn(Result(scenario, {"headstart": one, "nghttpd": one}))

    assert widths(root, "ours") == widths(root, "bar")
    assert "2 KiB" in texts(root)


def test_panels_stay_within_the_page() -> None:
    each = [
        Result(s, {"headstart": [Sample(1.0, 1, 0, 0, p50=0.1, p99=0.1, memory=1.0)]})
        for s in SCENARIOS
        if s.part in (Part.SERVERS, Part.CLIENTS) and s.kind is not Kind.START
    ]
    root = drawn(*each)

    _, _, width, height = map(float, root.attrib["viewBox"].split())
    for element in root.iter(f"{SVG}text"):
        assert 0 <= float(element.attrib["x"]) < width
        assert 0 < float(element.attrib["y"]) < height
    assert texts(root).count("headstart") == len(each)


def test_servers_that_failed_have_no_bar() -> None:
    assert [bar.name for bar in bars(result(), SECTIONS[0])] == ["headstart", "h2corn", "granian"]


def test_nothing_measured_is_an_empty_page() -> None:
    assert texts(drawn()) == []
    assert texts(drawn(Result(SCENARIOS[0]))) == []


def test_title_is_text_whatever_is_in_it() -> None:
    strange = result()
    strange.scenario = replace(strange.scenario, title="<script> & more")

    assert "<script> & more" in texts(drawn(strange))
