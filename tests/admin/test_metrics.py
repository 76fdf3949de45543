"""The table of metrics, how the values of processes add up, and the documents about them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from headstart.admin.metrics import BY_NAME, METRICS, Kind, Rows, Totals, combined
from headstart.admin.workers import Answer

ROOT = Path(__file__).parents[2]
NAME = re.compile(r"headstart_[a-z_]+")
_KINDS = {Kind.COUNTER: "counter", Kind.HISTOGRAM: "histogram"}


def requests(number: float, code: str = "200") -> Rows:
    return {"headstart_requests_total": [(["2", "false", code], number)]}


def total(rows: object, name: str = "headstart_requests_total") -> float:
    assert isinstance(rows, dict)
    return float(sum(value for _, value in rows[name]))


def test_names_follow_the_rules() -> None:
    for metric in METRICS:
        assert re.fullmatch(r"headstart_[a-z0-9_]+[a-z0-9]", metric.name)
        assert metric.name.endswith("_total") is (metric.kind is Kind.COUNTER)
        assert not metric.help.endswith(".")
    assert len(BY_NAME) == len(METRICS)


def test_document_has_each_metric_with_its_kind_its_labels_and_its_meaning() -> None:
    text = (ROOT / "docs" / "admin.md").read_text()
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("| `headstart_")
    ]

    assert rows == [
        [
            f"`{metric.name}`",
            _KINDS.get(metric.kind, "gauge"),
            ", ".join(f"`{label}`" for label in metric.labels),
            metric.help,
        ]
        for metric in METRICS
    ]


def test_dashboard_asks_for_metrics_and_labels_that_exist_and_for_all_of_them() -> None:
    text = (ROOT / "docs" / "examples" / "grafana-dashboard.json").read_text()
    queries = [
        target["expr"] for panel in json.loads(text)["panels"] for target in panel["targets"]
    ]

    asked = {re.sub("_bucket$", "", name) for query in queries for name in NAME.findall(query)}
    assert asked == {*BY_NAME, "headstart_info"}
    labels = {label for metric in METRICS for label in metric.labels} | {"le", "version"}
    for query in queries:
        for named in re.findall(r"by \(([^)]*)\)", query):
            assert set(named.split(", ")) <= labels


def test_counters_add_up_and_gauges_as_their_kind_says() -> None:
    one: Rows = requests(2) | {
        "headstart_store_up": [([], 1)],
        "headstart_store_lag_seconds": [([], 0.5)],
        "headstart_connections_open": [([], 3)],
        "headstart_event_loop_delay_seconds": [([], [1, 0, 2, 0.5])],
    }
    other: Rows = requests(5, "404") | {
        "headstart_store_up": [([], 0)],
        "headstart_store_lag_seconds": [([], 0.25)],
        "headstart_connections_open": [([], 4)],
        "headstart_event_loop_delay_seconds": [([], [1, 1, 0, 0.25])],
    }

    assert combined([one, other]) == {
        "headstart_requests_total": [(["2", "false", "200"], 2), (["2", "false", "404"], 5)],
        "headstart_store_up": [([], 0)],
        "headstart_store_lag_seconds": [([], 0.5)],
        "headstart_connections_open": [([], 7)],
        "headstart_event_loop_delay_seconds": [([], [2, 1, 2, 0.75])],
    }


def test_counter_does_not_fall_when_a_process_is_silent_or_ends() -> None:
    totals = Totals()
    open_one: Rows = {"headstart_connections_open": [([], 1)]}
    assert total(totals.of([Answer(1, requests(10) | open_one), Answer(2, requests(1))])) == 11

    silent = totals.of([Answer(1, None), Answer(2, requests(2))])
    assert total(silent) == 12
    assert "headstart_connections_open" not in silent
    assert silent["headstart_workers"] == [(["answering"], 1), (["silent"], 1)]

    totals.ended(1, None)
    assert total(totals.of([Answer(2, requests(3))])) == 13

    totals.ended(2, requests(7))
    assert total(totals.of([Answer(1, requests(1))])) == 18


@pytest.mark.parametrize(
    ("sent", "used", "wasted", "asked", "recall", "waste"),
    [(10, 6, 2, 2, 0.75, 0.2), (0, 0, 0, 4, 0.0, None), (0, 0, 0, 0, None, None)],
)
def test_ratios_are_of_the_sums(
    sent: int, used: int, wasted: int, asked: int, recall: float | None, waste: float | None
) -> None:
    outcomes = {"sent": sent, "used": used, "wasted": wasted, "asked": asked}
    half: Rows = {
        "headstart_view_assets_total": [([name], number / 2) for name, number in outcomes.items()]
    }

    rows = Totals().of([Answer(1, half), Answer(2, half)])

    assert rows.get("headstart_recall_ratio") == (None if recall is None else [([], recall)])
    assert rows.get("headstart_waste_ratio") == (None if waste is None else [([], waste)])
