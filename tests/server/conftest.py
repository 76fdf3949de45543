"""Each test of the server checks the states of the responses that its calls make."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.server.states import Watched


@pytest.fixture(autouse=True)
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    """Fail the test if a response's state followed another one that it must not follow."""
    watching = Watched(monkeypatch)
    yield watching
    assert watching.wrong == []
