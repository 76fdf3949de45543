"""Options that would make no sense are refused when they are given."""

from __future__ import annotations

import math
from typing import Any

import pytest

from headstart.config import DeliverOptions, option
from headstart.errors import ConfigurationError
from headstart.learn import LearnOptions


@pytest.mark.parametrize("probability", [-0.1, 1.1, math.nan])
def test_probability_is_between_none_and_one(probability: float) -> None:
    with pytest.raises(ConfigurationError, match="is no probability"):
        DeliverOptions(min_probability=probability)


@pytest.mark.parametrize("name", ["é", "a; b=c", "a b", "a="])
def test_cookie_needs_a_name_that_can_stand_in_a_cookie(name: str) -> None:
    with pytest.raises(ConfigurationError, match="is no name of a cookie"):
        DeliverOptions(cookie=name)


@pytest.mark.parametrize("share", ["likely", "renders", "worth"])
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
    with pytest.raises(ConfigurationError, match="is no name of a header"):
        LearnOptions(referer_header="two words")


def test_option_carries_its_help() -> None:
    assert option(1, "What it is for.").metadata == {"help": "What it is for."}
