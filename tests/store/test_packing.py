from __future__ import annotations

import zlib
from dataclasses import replace

import pytest

from headstart.learn.gains import Measure, Metric, Stop
from headstart.learn.records import Forgotten, Record, Report
from headstart.store.base import DamagedError, Decoded
from headstart.store.packing import pack, unpack
from tests.store.workers import page, vote

LIMIT = 100_000


def test_records_survive_and_repetition_costs_little() -> None:
    records: list[Record] = [vote("/a"), page("/b"), Forgotten("/c\udc80"), *[vote("/d")] * 100]

    packed = pack(records)

    assert unpack(packed, LIMIT) == Decoded(records)
    assert len(packed) < 3000
    assert unpack(pack(()), LIMIT) == Decoded([])


def test_measures_stops_and_reports_survive() -> None:
    stop = Stop(1.0, "https://a.example", "/", True, 0.2, 0.1, 0.3)
    measure = Measure(Metric.LOADED, True, 80, (1.0, 0.5, 0.0, 2.0))
    report = Report(2.0, "https://a.example", "/", 7, control=False, lcp=0.4)
    timed = replace(vote("/a"), control=True, blocking=0.25, loaded=0.5)
    records: list[Record] = [
        replace(page("/"), measures=(measure,), stop=stop),
        stop,
        report,
        timed,
    ]

    assert unpack(pack(records), LIMIT) == Decoded(records)


def test_line_that_is_not_a_record_costs_no_other() -> None:
    lines = zlib.decompress(pack([vote("/a")])) + b"nonsense\n\xff\n[" + b"[" * 5000 + b"\n{}\n"
    lines += zlib.decompress(pack([vote("/b")]))

    assert unpack(zlib.compress(lines), LIMIT) == Decoded([vote("/a"), vote("/b")], unreadable=4)


def test_line_of_a_newer_version_is_not_taken_for_damage() -> None:
    lines = b'{"record":"moved","to":"/c"}\n' + zlib.decompress(pack([vote("/b")]))

    assert unpack(zlib.compress(lines), LIMIT) == Decoded([vote("/b")], newer=1)


@pytest.mark.parametrize(
    "packed",
    [b"", b"nonsense", pack([vote("/a")])[:-1], zlib.compress(b" " * (LIMIT + 1))],
    ids=["nothing", "nonsense", "cut short", "too much"],
)
def test_bytes_that_are_not_of_pack_are_damaged(packed: bytes) -> None:
    with pytest.raises(DamagedError):
        unpack(packed, LIMIT)
