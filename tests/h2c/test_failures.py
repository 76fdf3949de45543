"""Which exit code an error has, and how it is told."""

from __future__ import annotations

import pytest

from headstart.client.errors import ConnectFailed, NotHttp2, RequestFailed, TimedOut, TlsFailed
from headstart.errors import ConfigurationError, HeadstartError, LocalProtocolError, StreamGone
from headstart.h2c import exits
from headstart.h2c.failures import NotConnected, exit_code, explanation
from headstart.h2c.options import UsageFailed


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (UsageFailed, exits.USAGE),
        (ConfigurationError, exits.USAGE),
        (LocalProtocolError, exits.USAGE),
        (StreamGone, exits.REQUEST_FAILED),
        (RequestFailed, exits.REQUEST_FAILED),
        (NotConnected, exits.NOT_CONNECTED),
        (ConnectFailed, exits.NOT_CONNECTED),
        (NotHttp2, exits.NOT_CONNECTED),
        (TimedOut, exits.TIMED_OUT),
        (TlsFailed, exits.TLS),
        (HeadstartError, exits.REQUEST_FAILED),
    ],
)
def test_every_kind_of_error_has_its_code(kind: type[HeadstartError], code: int) -> None:
    assert exit_code(kind("message")) == code


def test_an_explanation_is_one_line_with_its_hint() -> None:
    assert explanation(HeadstartError("it broke", hint="Mend it.")) == "it broke; mend it"
    assert explanation(HeadstartError("it broke")) == "it broke"
    assert explanation(HeadstartError("it broke", hint="ALPN chooses.")) == "it broke; ALPN chooses"
    assert explanation(HeadstartError("it broke", hint="A retry may do.")) == (
        "it broke; a retry may do"
    )


def test_a_request_that_failed_on_the_way_is_told_with_how_to_see_why() -> None:
    assert explanation(RequestFailed("reset", hint="Try.")) == "reset; try"
    assert explanation(RequestFailed("reset")) == f"reset; {exits.LOOK}"
