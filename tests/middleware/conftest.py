"""A middleware that has learned what a page needs."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.middleware.served import Served


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    """With what a page needs learned."""
    made = Served()
    await made.teach()
    yield made
    await made.middleware.stop()
