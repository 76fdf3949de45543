"""How frames are shown."""

from __future__ import annotations

from headstart.h2c import options
from headstart.h2c.dump.text import DumpFormat, FrameFilter
from headstart.h2c.options.process import Start
from tests.h2c.options.typed import mistake


def test_frame_types_come_with_commas_or_several_times() -> None:
    command = options.parse(
        ["start", "--dump", "--include", "data,Headers", "--include", "PING", "--exclude", "PING"]
    )

    assert isinstance(command, Start)
    assert command.dump is not None
    assert command.dump.shown == FrameFilter.of(["DATA", "HEADERS", "PING"], ["PING"])
    assert command.dump.format is DumpFormat.TEXT


def test_an_unknown_frame_type_is_a_mistake() -> None:
    said = mistake("start", "--dump", "--exclude", "FRAME")
    assert said.startswith("no frame type is called 'FRAME'")


def test_an_unknown_format_is_a_mistake_that_names_the_known_ones() -> None:
    said = mistake("start", "--dump", "--dump-format", "xml")
    # Since 3.12.8 argparse names them without quotes.
    assert "text, json, har" in said.replace("'", "")
