"""The settings of a server's side, and the clients that are known by theirs."""

from __future__ import annotations

import pytest
from ngh2 import Setting

from headstart.config import WireLimits
from headstart.wire.server_settings import (
    LARGEST_WINDOW,
    is_grpc_pass,
    server_configuration,
    server_settings,
)

LIMITS = WireLimits(max_concurrent_streams=7, stream_window=1000, max_header_size=2000)


def test_client_is_told_the_limits_and_that_urgencies_are_heeded() -> None:
    assert server_settings(LIMITS, websockets=False) == {
        Setting.MAX_CONCURRENT_STREAMS: 7,
        Setting.INITIAL_WINDOW_SIZE: 1000,
        Setting.MAX_HEADER_LIST_SIZE: 2000,
        Setting.NO_RFC7540_PRIORITIES: 1,
    }


def test_websockets_are_offered_if_they_are_wanted() -> None:
    offered = server_settings(LIMITS, websockets=True)

    assert offered.pop(Setting.ENABLE_CONNECT_PROTOCOL) == 1
    assert offered == server_settings(LIMITS, websockets=False)


def test_engine_refuses_only_far_above_the_limits_that_are_answered() -> None:
    narrow = server_configuration(WireLimits())
    wide = server_configuration(WireLimits(max_header_size=10**6, max_header_count=10**5))

    assert narrow.max_inbound_header_list_size > 2 * WireLimits().max_header_size
    assert wide.max_inbound_header_list_size == 2 * 10**6
    assert wide.max_inbound_header_count == 2 * 10**5
    assert not narrow.auto_window_update


GRPC_PASS: dict[int, int] = {
    Setting.HEADER_TABLE_SIZE: 0,
    Setting.ENABLE_PUSH: 0,
    Setting.INITIAL_WINDOW_SIZE: LARGEST_WINDOW,
}


@pytest.mark.parametrize(
    "other",
    [
        {},
        {Setting.ENABLE_PUSH: 0},
        {**GRPC_PASS, Setting.INITIAL_WINDOW_SIZE: 65_535},
        {**GRPC_PASS, Setting.MAX_FRAME_SIZE: 16_384},
    ],
)
def test_nginx_grpc_pass_is_known_by_exactly_its_settings(other: dict[int, int]) -> None:
    assert is_grpc_pass(GRPC_PASS)
    assert not is_grpc_pass(other)
