"""How the server logs: colour on terminals, and streams that cannot be written."""

from __future__ import annotations

import logging
import sys

import pytest

from headstart.server.logs import Handler, logging_config


class Terminal:
    """A stream that says that it is a terminal."""

    def __init__(self, error: Exception | None = None) -> None:
        self._error = error

    def isatty(self) -> bool:
        return True

    def write(self, _text: str) -> None:
        if self._error is not None:
            raise self._error


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_colour_is_for_terminals_whose_user_wants_it(
    no_color: str, coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("NO_COLOR", no_color)

    formatters = logging_config()["formatters"]

    # Standard output is no terminal here.
    assert formatters["default"]["use_colors"] is coloured
    assert formatters["access"]["use_colors"] is False


def test_line_that_cannot_be_written_is_lost_without_a_word(
    capsys: pytest.CaptureFixture[str],
) -> None:
    record = logging.LogRecord("x", logging.INFO, "", 0, "a line", None, None)

    Handler(Terminal(OSError("full"))).emit(record)
    assert capsys.readouterr().err == ""

    Handler(Terminal(TypeError("a mistake"))).emit(record)
    assert "a mistake" in capsys.readouterr().err
