"""Options that would make no sense are refused when they are given."""

from __future__ import annotations

import math
from typing import Any

import pytest

from headstart.config import DeliverOptions, ProxyOptions, ServerOptions, WireLimits, option
from headstart.errors import ConfigurationError
from headstart.learn import LearnOptions


@pytest.mark.parametrize("name", ["min_probability", "min_again"])
@pytest.mark.parametrize("probability", [-0.1, 1.1, math.nan])
def test_probability_is_between_none_and_one(name: str, probability: float) -> None:
    given: Any = {name: probability}

    with pytest.raises(ConfigurationError, match="is not a probability"):
        DeliverOptions(**given)


@pytest.mark.parametrize("name", ["é", "a; b=c", "a b", "a="])
def test_cookie_needs_a_name_that_can_stand_in_a_cookie(name: str) -> None:
    with pytest.raises(ConfigurationError, match="is not a valid cookie name"):
        DeliverOptions(cookie=name)


@pytest.mark.parametrize("share", ["likely", "min_chance", "worth"])
@pytest.mark.parametrize("value", [0.0, 1.5, math.nan])
def test_share_is_above_none_and_up_to_one(share: str, value: float) -> None:
    given: Any = {share: value}

    with pytest.raises(ConfigurationError, match=f"{share} is a share"):
        LearnOptions(**given)


@pytest.mark.parametrize(("window", "cap"), [(20.0, 10.0), (math.inf, math.inf), (math.nan, 1.0)])
def test_window_is_finite_and_not_above_its_cap(window: float, cap: float) -> None:
    with pytest.raises(ConfigurationError, match="a window of"):
        LearnOptions(window=window, window_cap=cap)


def test_referer_header_is_a_name() -> None:
    with pytest.raises(ConfigurationError, match="is not a valid header name"):
        LearnOptions(referer_header="two words")


@pytest.mark.parametrize("window", ["stream_window", "connection_window"])
def test_window_is_not_so_small_that_who_fills_it_sends_a_few_bytes_at_a_time(window: str) -> None:
    given: Any = {window: 511}

    with pytest.raises(ConfigurationError, match=f"{window} of 511 bytes") as refused:
        WireLimits(**given)

    assert "at least 512" in refused.value.hint
    assert WireLimits(stream_window=512, connection_window=512).stream_window == 512


def test_memory_is_more_than_a_worker_takes_by_itself() -> None:
    with pytest.raises(ConfigurationError, match="max_memory is 4096 bytes"):
        ServerOptions(max_memory=4096)

    assert ServerOptions(max_memory=2**25).max_memory == 2**25
    assert ServerOptions(max_memory=0).max_memory == 0


def test_option_carries_its_help() -> None:
    assert option(1, "What it is for.").metadata["help"] == "What it is for."


@pytest.mark.parametrize(
    ("given", "host"),
    [
        ("", ""),
        ("Inner.example:8080", "inner.example:8080"),
        ("straße.de:80", "xn--strae-oqa.de:80"),
        ("[::1]:8080", "[::1]:8080"),
    ],
)
def test_host_for_an_upstream_is_ascii(given: str, host: str) -> None:
    assert ProxyOptions(upstream_host=given).upstream_host == host


@pytest.mark.parametrize("host", ["a b", "a\r\nx: y", "a/b", "me@a", "a\u200db.test"])
def test_host_that_no_upstream_could_have_is_refused(host: str) -> None:
    with pytest.raises(ConfigurationError, match="is not a host"):
        ProxyOptions(upstream_host=host)
