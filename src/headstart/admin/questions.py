"""What the admin port may ask a process that serves.

Add a question as a function of `Sources` and JSON arguments that returns JSON. `reporter` calls
them on the process' event loop.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from headstart.admin.health import health
from headstart.admin.measures import measure

Question = Callable[..., Any]

QUESTIONS: Final[dict[str, Question]] = {
    "health": health,
    "metrics": measure,
}

LAST_WORDS: Final = "metrics"
"""The question that a process answers once more, unasked, when it ends."""
