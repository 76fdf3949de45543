"""Exit codes and messages."""

from __future__ import annotations

from headstart.h2c import exits

MESSAGES = {
    name: value
    for name, value in vars(exits).items()
    if isinstance(value, str) and not name.startswith("_")
}
CODES = {name: value for name, value in vars(exits).items() if isinstance(value, int)}


def test_every_message_is_one_line_without_an_end() -> None:
    for message in MESSAGES.values():
        assert "\n" not in message
        assert not message.endswith(".")


def test_every_message_has_a_second_half_that_says_what_to_do() -> None:
    halves = {name for name, message in MESSAGES.items() if ";" in message}

    # What is no mistake, and TAP_FAILED, which goes before a message that has both halves.
    others = {"INSECURE", "LOOK", "NOW_CURRENT", "TAPPED", "TAP_FAILED"}
    assert set(MESSAGES) - halves == others


def test_no_two_exit_codes_are_the_same() -> None:
    assert len(set(CODES.values())) == len(CODES)


def test_the_documented_codes_are_as_documented() -> None:
    assert [exits.OK, exits.REQUEST_FAILED, exits.USAGE] == [0, 1, 2]
    assert [exits.NOT_CONNECTED, exits.TIMED_OUT, exits.TLS] == [3, 4, 5]
