"""Values as people read them, and that each is escaped."""

from __future__ import annotations

import pytest

from headstart.admin.site import rendering


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
