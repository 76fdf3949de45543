"""Log records as JSON: one object a line, whatever is in them."""

from __future__ import annotations

import json
import logging
import sys
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.observe.json_lines import JsonFormatter, request_id


def line(message: Any, *arguments: Any, **more: Any) -> dict[str, Any]:
    """Format a record, and read the line."""
    record = logging.LogRecord(
        "headstart.test", logging.INFO, __file__, 1, message, arguments, more.pop("exc_info", None)
    )
    record.__dict__.update(more)
    written = JsonFormatter(use_colors=True).format(record)
    assert written.isascii()
    assert len(written.splitlines()) == 1
    found = json.loads(written)
    assert isinstance(found, dict)
    return found


def test_line_has_time_level_logger_and_message() -> None:
    found = line("%s asked for %d\n", "somebody", 3)

    assert datetime.fromisoformat(found.pop("time")).utcoffset() is not None
    assert found == {
        "level": "INFO",
        "logger": "headstart.test",
        "message": "somebody asked for 3",
    }


@given(st.text(), st.text())
def test_any_text_stays_on_its_line(message: str, value: str) -> None:
    found = line("%s", message, fields={"path": value})

    assert found["message"] == message.rstrip("\n")
    assert found["path"] == value


def test_traceback_is_a_field() -> None:
    try:
        raise RuntimeError("line\nends")
    except RuntimeError:
        found = line("it failed", exc_info=sys.exc_info())

    assert found["message"] == "it failed"
    assert found["traceback"].startswith("Traceback (most recent call last):\n")
    assert found["traceback"].endswith("RuntimeError: line\nends")


def test_text_of_an_error_from_another_formatter_and_a_stack_are_fields() -> None:
    found = line("it failed", exc_text="Traceback: x", stack_info="Stack: y")

    assert (found["traceback"], found["stack"]) == ("Traceback: x", "Stack: y")


@pytest.mark.parametrize("arguments", [("one", "two"), ({},)])
def test_arguments_that_do_not_fit_are_shown(arguments: tuple[Any, ...]) -> None:
    assert line("%d pages", *arguments)["message"].startswith("%d pages (")


def test_value_that_json_does_not_know_is_shown_as_python_does() -> None:
    assert line("x", fields={"value": {1, 2}})["value"] == "{1, 2}"


def test_line_within_a_request_has_its_id() -> None:
    token = request_id.set("abc")
    try:
        assert line("x")["request_id"] == "abc"
    finally:
        request_id.reset(token)
    assert "request_id" not in line("x")
