"""The access log as fields, for `--log-format json`.

Writes the log `headstart.access`; called by `observer` when a request has ended.
"""

from __future__ import annotations

import logging
from typing import Any

from headstart.observe.delivered import delivered
from headstart.observe.exchange import Exchange

logger = logging.getLogger("headstart.access")


def log_access(exchange: Exchange, status: int) -> None:
    """Write one line.

    Args:
        exchange: The request.
        status: That the client was answered.
    """
    if not logger.isEnabledFor(logging.INFO):
        return
    scope = exchange.scope
    fields: dict[str, Any] = {
        "client": exchange.client,
        "method": scope["method"],
        "path": exchange.target,
        "version": scope["http_version"],
        "pushed": exchange.pushed,
        "status": status,
        "bytes": exchange.size,
        "duration": round(exchange.seconds, 6),
    }
    # Other requests than those for pages are not sent anything ahead.
    page = delivered(scope)
    if page is not None:
        fields |= {"way": page.way, "sent": page.sent, "refused": page.refused}
    logger.info("%s %s %d", scope["method"], exchange.target, status, extra={"fields": fields})
