"""Tell the browser how its page's assets were sent ahead: the Server-Timing header.

A script that measures the page reads the value from the navigation's `serverTiming` (Server Timing,
W3C), and so splits its figures by the way of delivery. A shared cache would repeat one view's value
to other clients, so a page that it may keep gets the header only on request. Pure; called by
`visit` for each page.
"""

from __future__ import annotations

from collections.abc import Iterable

from headstart.config import DeliverOptions
from headstart.deliver.decide import Way
from headstart.deliver.seen import may_carry_cookie
from headstart.observe.delivered import best_way


def server_timing(
    used: Iterable[Way],
    headers: Iterable[tuple[bytes, bytes]],
    options: DeliverOptions,
    *,
    control: bool,
) -> tuple[bytes, bytes] | None:
    """Return the header for a page's response, or None if it may not carry one.

    Args:
        used: The ways in which assets were sent ahead of this view, or with its response.
        headers: Of the response.
        options: Options of delivery.
        control: The view got nothing so that it can be compared.
    """
    if not options.server_timing:
        return None
    if not options.server_timing_shared and not may_carry_cookie(headers):
        return None
    best = best_way(used, control=control)
    return (b"server-timing", f'headstart;desc="{best}"'.encode("ascii"))
