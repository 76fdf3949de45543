"""Values as people read them, and that each is escaped."""

from __future__ import annotations

import re

import pytest

from headstart.admin.site import rendering
from headstart.admin.site.charts import history
from headstart.admin.site.snapshot import (
    GainShown,
    PageSnapshot,
    SavingShown,
    ServerSnapshot,
    SiteSnapshot,
    Snapshot,
)
from headstart.middleware.recorded import Figures


@pytest.mark.parametrize(
    ("value", "said"),
    [(None, "\N{EN DASH}"), (0.0, "0 %"), (0.001, "<1 %"), (0.5, "50 %"), (1.0, "100 %")],
)
def test_share_is_per_cent(value: float | None, said: str) -> None:
    assert rendering.share(value) == said


def test_number_has_commas() -> None:
    assert rendering.number(1234567.8) == "1,234,568"


def test_saved_time_has_a_sign() -> None:
    assert rendering.saved(0.12) == "+120 ms"
    assert rendering.saved(-1.5) == "\N{MINUS SIGN}1.50 s"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-5, "now"),
        (0.5, "now"),
        (5, "5 s ago"),
        (99, "99 s ago"),
        (600, "10 min ago"),
        (7200, "2 h ago"),
    ],
)
def test_moment_is_said_from_now(seconds: float, said: str) -> None:
    assert rendering.ago(1000.0, 1000.0 + seconds) == said


def test_clock_has_hours_and_minutes() -> None:
    assert len(rendering.clock(0.0)) == 5


def test_query_has_no_empty_values_and_is_ascii() -> None:
    assert rendering.query({"a": "x y&", "b": "", "c": 0, "d": None}) == "?a=x+y%26"
    assert rendering.query({"path": "/\ud800<"}) == "?path=%2F%3F%3C"
    assert rendering.query({}) == "?"


def test_invisible_and_turning_characters_of_a_name_are_replaced() -> None:
    assert rendering.plain("/a\u202eb\x00\n") == "/a\N{REPLACEMENT CHARACTER}b" + 2 * "\ufffd"
    assert rendering.plain("/é/日本") == "/é/日本"


def test_each_value_is_escaped_in_each_template() -> None:
    made = rendering._environment()

    assert made.autoescape is True
    assert made.loader is not None
    for name in made.list_templates():
        source, _, _ = made.loader.get_source(made, name)
        assert "|safe" not in source.replace(" ", "")
        assert "autoescape" not in source
        assert "style=" not in source
        assert " onclick=" not in source


def overview(gain: GainShown) -> str:
    """The overview of a site with this gain."""
    server = ServerSnapshot(1, 0, True, 0, 0, 0, (), ())
    site = SiteSnapshot("https://a.test", (Figures(0),), (), gain)
    response = rendering.page(
        "overview.html",
        shot=Snapshot(0.0, server, (site,), ()),
        site=site,
        origin=site.origin,
        csrf="",
        place="/",
        history=history(site.history),
        loads=(),
        refused=(),
    )
    assert isinstance(response.body, bytes)
    return " ".join(re.sub(r"<[^>]+>", " ", response.body.decode()).split())


def saving(seconds: float, low: float, high: float) -> SavingShown:
    return SavingShown("loaded", seconds, low, high, 0.3, 0.3 + seconds, 900.0, 30.0)


def test_gain_is_shown_with_its_interval() -> None:
    shown = overview(GainShown(900.0, 30.0, (saving(0.1, 0.05, 0.15),)))

    assert "100 ms sooner, until the last asset" in shown
    assert "95 % interval: +50 ms to +150 ms." in shown
    assert "300 ms with assets sent ahead (900 views), 400 ms without (30 views)" in shown


def test_loss_is_said_as_such_with_the_reason_of_the_stop() -> None:
    loss = saving(-0.1, -0.15, -0.05)

    shown = overview(GainShown(900.0, 30.0, (loss,), "Nothing is sent ahead any more, since <b>."))

    assert "100 ms later, until the last asset" in shown
    assert "Nothing is sent ahead any more, since &lt;b&gt;." in shown


def test_gain_that_is_not_known_says_what_is_missing() -> None:
    assert "So far the site has 7 and 2 that count: docs/gain.md says which do." in overview(
        GainShown(7.0, 2.0)
    )
    assert "It takes 20 views" in overview(GainShown())


@pytest.mark.parametrize(
    ("low", "high"), [(0.05, 0.15), (-0.15, -0.05), (-0.1, 0.3), (0.0, 0.0), (-1e-9, 1e9)]
)
def test_interval_is_within_its_picture(low: float, high: float) -> None:
    server = ServerSnapshot(1, 0, True, 0, 0, 0, (), ())
    response = rendering.page(
        "page.html",
        shot=Snapshot(0.0, server, (), ()),
        site=None,
        origin="https://a.test",
        csrf="",
        place="/page",
        path="/",
        said="",
        loads=(),
        page=PageSnapshot(True, (), GainShown(900.0, 30.0, (saving(low, low, high),))),
    )
    assert isinstance(response.body, bytes)
    bars = re.findall(
        r'class="(?:span|middle)" x="([-\d.]+)" y="\d+" width="([-\d.]+)"', response.body.decode()
    )

    assert len(bars) == 2
    for x, width in bars:
        assert 0 <= float(x) <= float(x) + float(width) <= 1000


def test_overview_without_refusals_leads_to_the_reasons_of_each_asset() -> None:
    shown = overview(GainShown())

    assert "held back so far. Pages has the reasons for each asset." in shown
