from __future__ import annotations

import pytest

from headstart.learn.records import Forgotten, Record, Removal, Rule, Verdict
from headstart.store.base import DamagedError, decode, encode
from tests.store.workers import page, vote


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

    assert decode(text.encode("ascii")) == [record, record]
    assert "\n" not in text


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"\xff\xfe", b"7", b"[7]", b"[[]]", b'["a"]', b'[{"record":"other"}]', b"[{}]"],
)
def test_text_that_is_no_record_is_damage(text: bytes) -> None:
    with pytest.raises(DamagedError):
        decode(text)
