"""The settings of a server's side: the engine's, and the SETTINGS frames of both sides.

Reads the limits of the configuration; called by `wire.server` when a connection begins and when
the client's SETTINGS come.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

import ngh2
from ngh2 import Setting

from headstart.config import WireLimits
from headstart.wire.fields import LARGEST_SECTION

# RFC 9113, 6.9.1.
LARGEST_WINDOW: Final = 2**31 - 1
# Far above the soft limits, which are answered 431: the engine counts each crumb of a cookie as a
# field, and it gives up without a word. While a section of so many comes, it takes 0.6 MB.
_HARD_HEADER_COUNT = 4096
_HARD_HEADER_SIZE = 192 * 1024
# The SETTINGS of nginx's grpc_pass, by which its requests for pages are known: they say nothing of
# gRPC, and up to nginx 1.28 its client gets a 502 where a 103 comes.
_GRPC_PASS = {
    Setting.HEADER_TABLE_SIZE: 0,
    Setting.ENABLE_PUSH: 0,
    Setting.INITIAL_WINDOW_SIZE: LARGEST_WINDOW,
}


@lru_cache(8)
def server_configuration(limits: WireLimits) -> ngh2.Configuration:
    """Return the configuration of the engine, one for all connections with the same limits."""
    return ngh2.Configuration(
        auto_window_update=False,
        max_inbound_header_list_size=max(_HARD_HEADER_SIZE, 2 * limits.max_header_size),
        max_send_header_block_length=LARGEST_SECTION + 1024,  # the engine's estimate is coarse
        max_inbound_header_count=max(_HARD_HEADER_COUNT, 2 * limits.max_header_count),
        # A second line behind our guard, far behind: it counts cancelled pushes too, and says
        # INTERNAL_ERROR where the guard says ENHANCE_YOUR_CALM.
        stream_reset_rate_limit=(50 * limits.max_resets, 50 * limits.max_resets),
    )


def server_settings(limits: WireLimits, websockets: bool) -> dict[int, int]:
    """Return the SETTINGS that a client gets first.

    Args:
        limits: Limits on the client.
        websockets: Offer WebSockets (RFC 8441, 3).
    """
    settings: dict[int, int] = {
        Setting.MAX_CONCURRENT_STREAMS: limits.max_concurrent_streams,
        Setting.INITIAL_WINDOW_SIZE: limits.stream_window,
        Setting.MAX_HEADER_LIST_SIZE: limits.max_header_size,
        # RFC 9218, 2.1; the engine takes our own urgencies only with it.
        Setting.NO_RFC7540_PRIORITIES: 1,
    }
    if websockets:
        settings[Setting.ENABLE_CONNECT_PROTOCOL] = 1
    return settings


def is_grpc_pass(settings: Mapping[int, int]) -> bool:
    """Return true for the SETTINGS of nginx's grpc_pass, whose client fails on a 103."""
    return settings == _GRPC_PASS
