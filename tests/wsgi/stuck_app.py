"""A WSGI application that never returns."""

from __future__ import annotations

import threading
from typing import Any


def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Wait for ever."""
    print("stuck", flush=True)
    threading.Event().wait()
    return []
