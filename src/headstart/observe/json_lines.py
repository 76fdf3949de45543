"""Log records as JSON, one object a line (`--log-format json`).

All that is not ASCII is escaped, line ends too, so nothing that a client sends can begin a line of
its own. `server.logs` names the formatter; `observer` sets the id of the request, which each line
of its call carries.
"""

from __future__ import annotations

import contextvars
import json
import logging
from datetime import UTC, datetime
from typing import Any, Final

_encode: Final = json.JSONEncoder(default=repr).encode

request_id: contextvars.ContextVar[str] = contextvars.ContextVar("headstart.request_id", default="")


class JsonFormatter(logging.Formatter):
    """Format a record as a JSON object.

    It has `time`, `level`, `logger` and `message`; `request_id` within a request; `traceback` with
    an error; and the fields that a caller gave as `extra={"fields": {...}}`.

    Args:
        use_colors: uvicorn gives it to each formatter; JSON has no colours.
    """

    def __init__(self, use_colors: bool | None = None) -> None:
        super().__init__()
        self._second = -1, ""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line."""
        line: dict[str, Any] = {
            "time": self._time(record.created),
            "level": record.levelname,
            "logger": record.name,
            "message": _message(record),
        }
        if known := request_id.get():
            line["request_id"] = known
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        elif record.exc_text:
            line["traceback"] = record.exc_text
        if record.stack_info:
            line["stack"] = self.formatStack(record.stack_info)
        return _encode(line)

    def _time(self, created: float) -> str:
        """Return a time in UTC. Only its milliseconds differ from those of most lines before."""
        milliseconds = int(created * 1000)
        second, text = self._second
        if second != milliseconds // 1000:
            second = milliseconds // 1000
            text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
            # In one step: formatters are shared by threads.
            self._second = second, text
        return f"{text}.{milliseconds % 1000:03}+00:00"


def _message(record: logging.LogRecord) -> str:
    """Return the message, also of a record whose arguments do not fit."""
    try:
        return record.getMessage().rstrip("\n")
    except (TypeError, ValueError):
        return f"{record.msg} {record.args}"
