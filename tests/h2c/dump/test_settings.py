"""The choice of frames."""

from __future__ import annotations

import pytest

from headstart.errors import ConfigurationError
from headstart.h2c.dump.settings import FrameFilter
from headstart.wire.frames import Direction, Frame


@pytest.mark.parametrize(
    ("include", "exclude", "shown"),
    [
        ([], [], ["DATA", "HEADERS", "PING", "UNKNOWN_0xbe"]),
        (["headers", "Data"], [], ["DATA", "HEADERS"]),
        (["headers,data,ping"], ["PING"], ["DATA", "HEADERS"]),
        ([], ["data", "unknown"], ["HEADERS", "PING"]),
        (["unknown_0xBE"], [], ["UNKNOWN_0xbe"]),
        (["UNKNOWN_0xbf"], [], []),
        (["window-update,", " "], [], []),
    ],
)
def test_a_filter_shows_what_is_included_and_not_excluded(
    include: list[str], exclude: list[str], shown: list[str]
) -> None:
    rule = FrameFilter.of(include, exclude)

    kinds = ["DATA", "HEADERS", "PING", "UNKNOWN_0xbe"]

    assert [kind for kind in kinds if rule.admits(Frame(0.0, Direction.SENT, kind, 0))] == shown


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match=r"'HEADER'.*HEADERS.*PUSH_PROMISE") as caught:
        FrameFilter.of(["HEADER"])

    assert "HEADERS,PUSH_PROMISE" in caught.value.hint
