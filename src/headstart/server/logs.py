"""How the server logs where nobody gives it a --log-config: uvicorn's way, and our loggers with it.

Read by `cli`; workers make the handler by its name.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

from uvicorn.config import LOGGING_CONFIG

from headstart.errors import HeadstartError
from headstart.observe.json_lines import JsonFormatter


class Handler(logging.StreamHandler[Any]):
    """A handler whose stream may be full or closed: lines are lost then, and nothing else is."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Say nothing of a line that could not be written: it would go to the same place."""
        if not isinstance(sys.exc_info()[1], (OSError, HeadstartError)):
            super().handleError(record)


def logging_config(log_format: str = "text") -> dict[str, Any]:
    """Return the configuration, with colour on terminals unless NO_COLOR forbids it.

    Args:
        log_format: text, or json for one JSON object a line.
    """
    wanted = not os.environ.get("NO_COLOR")
    config: dict[str, Any] = {
        **LOGGING_CONFIG,
        "formatters": {name: dict(made) for name, made in LOGGING_CONFIG["formatters"].items()},
        "handlers": {
            name: {**made, "class": f"{__name__}.{Handler.__name__}"}
            for name, made in LOGGING_CONFIG["handlers"].items()
        },
        "loggers": {
            **LOGGING_CONFIG["loggers"],
            "headstart": {"handlers": ["default"], "level": "INFO", "propagate": False},
        },
    }
    if log_format == "json":
        config["formatters"] = {name: {"()": JsonFormatter} for name in config["formatters"]}
        # Where uvicorn's access log goes. Its level is that of our other loggers.
        config["loggers"]["headstart.access"] = {"handlers": ["access"], "propagate": False}
        return config
    config["formatters"]["default"]["use_colors"] = wanted and sys.stderr.isatty()
    config["formatters"]["access"]["use_colors"] = wanted and sys.stdout.isatty()
    return config
