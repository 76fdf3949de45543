"""Fixtures of the tests of `bench`."""

from __future__ import annotations

import pytest

from bench import latency, servers
from tests.ports import free_port


@pytest.fixture(autouse=True)
def _steady(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ports that nobody takes meanwhile, and patience with a busy machine."""
    monkeypatch.setattr(servers, "free_port", free_port)
    monkeypatch.setattr(latency, "_PATIENCE", 30.0)
