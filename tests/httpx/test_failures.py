"""Each error of the client has one of httpx."""

from __future__ import annotations

import httpx
import pytest

from headstart.client import (
    ClientError,
    ClientTimeoutError,
    ConnectError,
    NotHttp2Error,
    RequestError,
    TlsError,
)
from headstart.client.errors import Phase
from headstart.errors import ConfigurationError, HeadstartError, LocalProtocolError
from headstart.httpx.failures import as_httpx, translated

REQUEST = httpx.Request("GET", "https://localhost/")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ClientTimeoutError("x", phase=Phase.CONNECTION), httpx.ConnectTimeout),
        (ClientTimeoutError("x", phase=Phase.STREAM), httpx.PoolTimeout),
        (ClientTimeoutError("x", phase=Phase.UPLOAD), httpx.WriteTimeout),
        (ClientTimeoutError("x", phase=Phase.RESPONSE), httpx.ReadTimeout),
        (ConnectError("x"), httpx.ConnectError),
        (TlsError("x"), httpx.ConnectError),
        (NotHttp2Error("x"), httpx.ConnectError),
        (RequestError("x"), httpx.RemoteProtocolError),
        (ClientError("x"), httpx.RemoteProtocolError),
        (LocalProtocolError("x"), httpx.LocalProtocolError),
        (ConfigurationError("x"), httpx.UnsupportedProtocol),
    ],
)
def test_error_is_the_one_that_users_of_httpx_catch(
    error: HeadstartError, expected: type[httpx.TransportError]
) -> None:
    made = translated(error, REQUEST)

    assert type(made) is expected
    assert str(made) == "x"
    assert made.request is REQUEST


def test_hint_stays_a_note_and_the_error_the_cause() -> None:
    error = ConnectError("nobody listens", hint="Start the server.")

    with pytest.raises(httpx.ConnectError) as caught, as_httpx(REQUEST):
        raise error

    assert caught.value.__notes__ == ["Start the server."]
    assert caught.value.__cause__ is error
