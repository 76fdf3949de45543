"""Which scenarios are chosen."""

from __future__ import annotations

import pytest

from bench.scenarios import SCENARIOS, App, Kind, chosen


def test_all_are_chosen_where_none_is_named() -> None:
    assert chosen([], quick=False) == list(SCENARIOS)


def test_quick_chooses_some_and_a_name_overrides_it() -> None:
    assert 0 < len(chosen([], quick=True)) < len(SCENARIOS)
    assert [s.name for s in chosen(["bare-100k"], quick=True)] == ["bare-100k"]


def test_a_pattern_chooses_in_the_order_of_the_table() -> None:
    assert [s.name for s in chosen(["starlette*", "bare"], quick=False)][:2] == [
        "bare",
        "starlette",
    ]


def test_unknown_name_is_refused() -> None:
    with pytest.raises(LookupError, match="nothing"):
        chosen(["nothing"], quick=False)


def test_both_applications_are_measured_in_both_shapes_with_and_without_tls() -> None:
    small = [s for s in SCENARIOS if s.path == "/" and s.kind is Kind.REQUESTS]

    assert {(s.app, s.tls, s.connections, s.streams) for s in small} == {
        (app, tls, *shape)
        for app in App
        for tls in (False, True)
        for shape in ((10, 100), (100, 1))
    }


def test_names_are_unique_and_sizes_known() -> None:
    assert len({scenario.name for scenario in SCENARIOS}) == len(SCENARIOS)
    assert {s.name: s.size for s in SCENARIOS}["bare"] == 13
