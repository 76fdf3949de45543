"""The client's leaves of the tree of errors."""

from __future__ import annotations

import asyncio

import pytest

from headstart.client.errors import (
    IDEMPOTENT,
    ClientError,
    ClientTimeoutError,
    ConnectError,
    HTTPStatusError,
    NotHttp2Error,
    Phase,
    RequestError,
    TlsError,
)
from headstart.errors import HeadstartError
from tests.client.peer import Peer


@pytest.mark.parametrize("kind", [ConnectError, TlsError, NotHttp2Error, ClientTimeoutError])
def test_each_error_has_a_line_and_advice_and_is_caught_as_one_of_the_client(
    kind: type[ClientError],
) -> None:
    error = kind("it failed", hint="Try again.")

    assert isinstance(error, HeadstartError)
    assert (str(error), error.hint) == ("it failed", "Try again.")


def test_timeout_names_the_step_that_did_not_end() -> None:
    assert ClientTimeoutError("late").phase is Phase.RESPONSE
    assert ClientTimeoutError("late", phase=Phase.UPLOAD).phase is Phase.UPLOAD


def test_request_of_which_nothing_was_sent_was_not_processed() -> None:
    assert RequestError("reset").processed
    assert not RequestError("refused", processed=False).processed
    assert not RequestError("no room", processed=True, sent=False).processed


def test_request_error_says_how_the_response_was_broken() -> None:
    plain = RequestError("reset")
    assert (plain.sent, plain.stale, plain.malformed, plain.too_large) == (True, *[False] * 3)

    assert RequestError("", stale=True).stale
    assert RequestError("", malformed=True).malformed
    assert RequestError("", too_large=True).too_large


async def test_status_error_has_its_response() -> None:
    peer = await Peer.connected()
    asking = asyncio.ensure_future(peer.connection.request("GET", "/"))
    await peer.settle()
    await peer.answer(1)
    response = await asking

    error = HTTPStatusError("200 for GET /", response=response)

    assert error.response is response


def test_only_methods_that_rfc_9110_calls_idempotent_may_be_repeated() -> None:
    assert {"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"} == IDEMPOTENT
