from __future__ import annotations

import json

import pytest

from headstart.learn.records import Forgotten, Record, Removal, Rule, Verdict
from headstart.store.base import DamagedError, Decoded, NewerRecords, decode, encode
from tests.store.workers import Operator, page, vote


@pytest.mark.parametrize(
    "record",
    [
        vote("/"),
        vote("/\udc80\u2028ü"),
        page("/a"),
        Removal("https://a", "/x.css"),
        Rule(Verdict.PIN, "/a", "/x.css"),
        Forgotten("/a"),
    ],
)
def test_every_record_survives_as_one_line_of_ascii(record: Record) -> None:
    text = encode([record, record])

    assert decode(text.encode("ascii")) == Decoded([record, record])
    assert "\n" not in text


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"\xff\xfe", b"7", b"{}", b"[" * 100_000],
)
def test_text_that_is_no_list_is_damage(text: bytes) -> None:
    with pytest.raises(DamagedError):
        decode(text)


@pytest.mark.parametrize(
    "plain",
    ["7", "[]", '"a"', "{}", '{"record":"vote"}', '{"record":"A record"}', '{"record":7}'],
)
def test_what_is_no_record_is_counted_and_costs_no_other(plain: str) -> None:
    text = f"[{plain},{encode([vote('/a')])[1:-1]},{plain}]"

    assert decode(text) == Decoded([vote("/a")], unreadable=2)


@pytest.mark.parametrize(
    "plain", ['{"record":"moved","to":[1]}', '{"record":"rule","verdict":"perhaps"}']
)
def test_record_of_a_newer_version_is_counted_and_costs_no_other(plain: str) -> None:
    text = f"[{plain},{encode([vote('/a')])[1:-1]}]"

    assert decode(text) == Decoded([vote("/a")], newer=1)


def test_field_of_a_newer_version_is_left_out_and_its_record_kept() -> None:
    plain = json.loads(encode([vote("/a")]))
    plain[0]["mood"] = "good"
    plain[0]["asked"][0]["scent"] = {"of": ["pine"]}

    assert decode(json.dumps(plain)) == Decoded([vote("/a")])


def test_newer_records_are_said_once() -> None:
    operator = Operator()
    newer = NewerRecords(operator)

    for count in (0, 2, 3):
        newer.found(count)

    assert "newer version" in operator.only_line()
