"""What the admin port may ask a process that serves.

Add a question as a function of `Sources` and JSON arguments that returns JSON. `reporter` calls
them on the process' event loop.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from headstart.admin.health import health

Question = Callable[..., Any]

QUESTIONS: Final[dict[str, Question]] = {
    "health": health,
}

LAST_WORDS: Final = "health"
"""The question that a process answers once more, unasked, when it ends."""
