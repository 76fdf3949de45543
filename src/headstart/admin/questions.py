"""What the admin port may ask a process that serves.

Add a question as a function of `Sources` and JSON arguments that returns JSON. `reporter` calls
them on the process' event loop.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from headstart.admin.health import health
from headstart.admin.measures import measure
from headstart.admin.site import answers

Question = Callable[..., Any]

QUESTIONS: Final[dict[str, Question]] = {
    "health": health,
    "metrics": measure,
    "site_report": answers.report,
    "site_version": answers.version,
    "site_pages": answers.pages,
    "site_page": answers.page,
    "site_order": answers.order,
}

LAST_WORDS: Final = "metrics"
"""The question that a process answers once more, unasked, when it ends."""
