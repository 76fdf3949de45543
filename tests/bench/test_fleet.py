from __future__ import annotations

import sys

import pytest

from bench import fleet
from tests.peers import peer


def test_table_has_a_line_for_rest_and_one_for_load(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    peer("redis-server")
    monkeypatch.setattr(fleet, "_SYNC_SECONDS", 0.02)
    options = ["--pages", "6", "--assets", "3", "--instances", "2", "--seconds", "1"]
    monkeypatch.setattr(sys, "argv", ["bench.fleet", *options])

    fleet.main()

    said = capsys.readouterr()
    assert said.err == ""
    lines = {line.rsplit(maxsplit=4)[0]: line.split()[-4:] for line in said.out.splitlines()[1:3]}
    rest, load = lines["at rest"], lines["under load"]
    assert float(rest[1]) < float(load[1])
    assert "pages whose assets each instance would send: 6, 6" in said.out
