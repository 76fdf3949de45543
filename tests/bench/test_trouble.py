from __future__ import annotations

import sys

import pytest

from bench import trouble
from tests.peers import peer


def test_table_has_a_line_for_each_trouble_and_no_request_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    peer("redis-server")
    peer("h2load")
    monkeypatch.setattr(trouble, "_RECOVERY_SECONDS", 0.0)
    monkeypatch.setattr(sys, "argv", ["bench.trouble", "--rounds", "1", "--seconds", "1"])

    assert trouble.main() == 0

    lines = capsys.readouterr().out.splitlines()[3:]
    rows = {line[:28].strip(): line[28:].split() for line in lines}
    assert rows.keys() == trouble.PHASES.keys()
    assert all(float(row[0]) > 0 and row[-1] == "0" for row in rows.values())
