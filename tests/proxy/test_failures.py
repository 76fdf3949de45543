"""What a client is told of an upstream's failure."""

from __future__ import annotations

import pytest

from headstart.proxy.failures import UpstreamError
from headstart.reasons import Gateway


@pytest.mark.parametrize("reason", Gateway)
def test_each_reason_has_a_status_of_a_gateway(reason: Gateway) -> None:
    assert UpstreamError(reason, "detail").status in (502, 503, 504, 508)
    assert str(UpstreamError(reason, "detail")) == f"{reason}: detail"
    assert str(UpstreamError(reason)) == reason
