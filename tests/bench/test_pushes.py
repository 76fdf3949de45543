"""The frame checker that counts pushes, fed with hand-made frames."""

from __future__ import annotations

import pytest

from bench.apps.content import ASSET, ASSETS
from bench.frames import frame, request_fields, window_update
from bench.pushes import Walker

DATA, HEADERS, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY = 0, 1, 3, 4, 5, 6, 7
END_STREAM = 1
FIELDS = request_fields(b"127.0.0.1:80", b"/page")


def promise(page: int, promised: int) -> bytes:
    return frame(PUSH_PROMISE, 4, page, promised.to_bytes(4, "big") + b"\x82")


def page_with_pushes(page: int, first: int) -> bytes:
    promised = range(first, first + 2 * len(ASSETS), 2)
    frames = [promise(page, stream_id) for stream_id in promised]
    frames.append(frame(HEADERS, 4, page, b"\x88") + frame(DATA, END_STREAM, page, b"page"))
    for stream_id in promised:
        frames.append(frame(HEADERS, 4, stream_id, b"\x88"))
        frames.append(frame(DATA, END_STREAM, stream_id, ASSET))
    return b"".join(frames)


def started(pages: int = 1) -> Walker:
    checker = Walker(FIELDS)
    checker.start(pages)
    return checker


@pytest.mark.parametrize("size", [1, 7, 1000, 10**6])
def test_pushes_are_counted_however_the_bytes_are_cut(size: int) -> None:
    checker, answer = started(), page_with_pushes(1, 2)

    for at in range(0, len(answer), size):
        checker.feed(answer[at : at + size])

    assert (checker.done, checker.errors, checker.data) == (10, 0, 10 * len(ASSET))


def test_next_page_is_asked_for_with_the_last_push_and_not_before() -> None:
    checker, answer = started(), page_with_pushes(1, 2)
    last = len(frame(DATA, END_STREAM, 20, ASSET))

    checker.feed(answer[:-last])
    before = checker.take()
    checker.feed(answer[-last:])

    assert before == b""
    assert checker.take() == frame(HEADERS, 5, 3, FIELDS)


def test_start_asks_for_as_many_pages_as_told() -> None:
    sent = Walker(FIELDS).start(2)

    assert sent.startswith(b"PRI * HTTP/2.0")
    assert sent.endswith(frame(HEADERS, 5, 1, FIELDS) + frame(HEADERS, 5, 3, FIELDS))


def test_a_push_that_was_reset_is_an_error() -> None:
    checker = started()

    checker.feed(promise(1, 2) + frame(RST_STREAM, 0, 2, bytes(4)))

    assert (checker.done, checker.errors) == (0, 1)


def test_pushes_that_were_never_promised_are_errors() -> None:
    checker = started()

    checker.feed(frame(HEADERS, 5, 1, b"\x88"))

    assert checker.errors == len(ASSETS)


def test_reset_behind_the_end_of_a_stream_changes_nothing() -> None:
    checker = started()
    checker.feed(page_with_pushes(1, 2))

    checker.feed(frame(RST_STREAM, 0, 1, bytes(4)))

    assert (checker.done, checker.errors) == (10, 0)


def test_settings_and_ping_are_acknowledged_but_not_acknowledgements() -> None:
    checker = started()

    checker.feed(frame(SETTINGS, 0, 0) + frame(SETTINGS, 1, 0) + frame(PING, 0, 0, b"12345678"))

    assert checker.take() == frame(SETTINGS, 1, 0) + frame(PING, 1, 0, b"12345678")


def test_goaway_ends_the_run_with_its_error_code() -> None:
    checker = started()

    checker.feed(frame(GOAWAY, 0, 0, bytes(4) + (11).to_bytes(4, "big")))

    assert checker.goaway == 11


def test_window_is_given_back_before_it_runs_dry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.pushes._TOP_UP", 1000)
    checker = started()

    checker.feed(promise(1, 2) + frame(DATA, 0, 2, bytes(1024)))

    assert checker.take() == window_update(1024)
