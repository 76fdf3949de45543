"""Which exit code an error has, and how it is told."""

from __future__ import annotations

import ssl

import pytest

from headstart.client import failures
from headstart.client.errors import (
    ClientTimeoutError,
    ConnectError,
    NotHttp2Error,
    RequestError,
    TlsError,
)
from headstart.client.origin import Origin
from headstart.errors import ConfigurationError, HeadstartError, LocalProtocolError, StreamGoneError
from headstart.h2c import exits
from headstart.h2c.failures import NotConnectedError, exit_code, explanation
from headstart.h2c.options import UsageError


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (UsageError, exits.USAGE),
        (ConfigurationError, exits.USAGE),
        (LocalProtocolError, exits.USAGE),
        (StreamGoneError, exits.REQUEST_FAILED),
        (RequestError, exits.REQUEST_FAILED),
        (NotConnectedError, exits.NOT_CONNECTED),
        (ConnectError, exits.NOT_CONNECTED),
        (NotHttp2Error, exits.NOT_CONNECTED),
        (ClientTimeoutError, exits.TIMED_OUT),
        (TlsError, exits.TLS),
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


@pytest.mark.parametrize("code", [18, 26])
def test_an_untrusted_certificate_is_told_without_the_arguments_of_python(code: int) -> None:
    untrusted = ssl.SSLCertVerificationError(1, "certificate verify failed")
    untrusted.verify_code, untrusted.verify_message = code, "no trust"
    error = failures.tls_failed(untrusted, Origin("https", "example.org", 443))

    assert "cafile=" in error.hint
    assert "--cacert" not in error.hint
    assert explanation(error).endswith(" CA with --cacert FILE")


def test_a_request_that_failed_on_the_way_is_told_with_how_to_see_why() -> None:
    assert explanation(RequestError("reset", hint="Try.")) == "reset; try"
    assert explanation(RequestError("reset")) == f"reset; {exits.LOOK}"
