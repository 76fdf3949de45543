"""The learner's options, and those that are refused."""

from __future__ import annotations

from typing import Any

import pytest

from headstart.errors import ConfigurationError
from headstart.learn import LearnOptions


@pytest.mark.parametrize("name", ["likely", "min_chance", "worth"])
def test_share_lies_above_0_and_up_to_1(name: str) -> None:
    whole: dict[str, Any] = {name: 1.0}
    assert getattr(LearnOptions(**whole), name) == 1.0
    for value in (0, -0.1, 1.1, float("nan")):
        with pytest.raises(ConfigurationError, match=f"{name} is a share"):
            LearnOptions(**{**whole, name: value})


@pytest.mark.parametrize("window", [(0.0, 1.0), (2.0, 1.0), (1.0, float("inf"))])
def test_window_lies_above_0_and_up_to_its_cap(window: tuple[float, float]) -> None:
    assert LearnOptions(window=1.0, window_cap=1.0).window == 1.0
    with pytest.raises(ConfigurationError, match="a window of"):
        LearnOptions(window=window[0], window_cap=window[1])


@pytest.mark.parametrize("name", ["", "Re ferer", "Referer:"])
def test_header_of_the_referer_has_a_valid_name(name: str) -> None:
    assert LearnOptions(referer_header="X-Page").referer_header == "X-Page"
    with pytest.raises(ConfigurationError, match="is not a valid header name") as refused:
        LearnOptions(referer_header=name)

    assert "Referer" in refused.value.hint
