"""Fixtures of the tests of the client."""

from __future__ import annotations

from tests.servers.conftest import servers

__all__ = ["servers"]
