"""What went wrong, told to the user: each kind has its class, one line, and a hint."""

from __future__ import annotations

import errno
import socket
import ssl
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from ngh2 import ErrorCode

from headstart import Client
from headstart.client import failures
from headstart.client.errors import ConnectError, NotHttp2Error, TlsError
from headstart.client.origin import Origin

HOST = Origin("https", "a.test", 443)
LOCAL = Origin("https", "localhost", 8443)
CLEARTEXT = Origin("http", "a.test", 80)


@pytest.mark.parametrize(
    ("error", "origin", "kind", "says"),
    [
        (socket.gaierror(-2, "Name or service not known"), HOST, ConnectError, "no host a.test"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "x"), HOST, ConnectError, "refuses"),
        (
            OSError("Multiple exceptions: [Errno 111] x ('::1'), [Errno 111] x ('127.0.0.1')"),
            LOCAL,
            ConnectError,
            "refuses",
        ),
        (
            OSError("Multiple exceptions: [Errno 111] x, [Errno 113] y"),
            LOCAL,
            ConnectError,
            "Multiple",
        ),
        (OSError(errno.EHOSTUNREACH, "No route to host"), HOST, ConnectError, "No route"),
        (ConnectionResetError(), HOST, TlsError, "TLS handshake"),
        (ConnectionResetError(errno.ECONNRESET, "reset"), CLEARTEXT, ConnectError, "reset"),
    ],
    ids=str,
)
def test_failed_connect_is_told(
    error: OSError, origin: Origin, kind: type[Exception], says: str
) -> None:
    told = failures.connect_failed(error, origin)

    assert type(told) is kind
    assert says in str(told)
    assert told.hint
    assert "\n" not in str(told)


def certificate_error(code: int, message: str) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code, error.verify_message = code, message
    return error


@pytest.mark.parametrize(
    ("code", "origin", "hint"),
    [
        (10, HOST, "expired"),
        (9, HOST, "clocks"),
        (20, HOST, "cafile="),
        (18, HOST, "cafile="),
        (20, LOCAL, "headstart demo"),
        (62, HOST, "name"),
        (64, HOST, "name"),
        (26, HOST, "cafile="),
    ],
)
def test_untrusted_certificate_is_told_with_what_to_do(
    code: int, origin: Origin, hint: str
) -> None:
    told = failures.tls_failed(certificate_error(code, "no trust."), origin)

    assert type(told) is TlsError
    assert str(told) == f"the certificate of {origin} is not trusted: no trust"
    assert hint in told.hint
    # A program cannot use the options of a command.
    assert "--" not in told.hint
    assert ("--cacert FILE" in told.hint_for_command) == ("cafile=" in told.hint)


@pytest.mark.parametrize(
    ("reason", "kind", "says"),
    [
        ("WRONG_VERSION_NUMBER", TlsError, "does not speak TLS"),
        ("TLSV1_ALERT_NO_APPLICATION_PROTOCOL", NotHttp2Error, "ALPN"),
        ("TLSV1_ALERT_PROTOCOL_VERSION", TlsError, "tlsv1 alert protocol version"),
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", TlsError, "requires a certificate of the client"),
        (None, TlsError, "odd"),
    ],
)
def test_failed_handshake_is_told(reason: str | None, kind: type[Exception], says: str) -> None:
    error = ssl.SSLError(1, "odd")
    if reason is not None:
        error.reason = reason

    told = failures.tls_failed(error, HOST)

    assert type(told) is kind
    assert says in str(told)
    assert told.hint


def test_alert_that_python_has_no_name_for_is_known_by_its_words() -> None:
    error = ssl.SSLError(1, "[SSL] tlsv1 alert no application protocol (_ssl.c:1020)")

    assert type(failures.tls_failed(error, HOST)) is NotHttp2Error


@pytest.mark.parametrize(
    ("origin", "first", "kind"),
    [
        (HOST, b"HTTP/", NotHttp2Error),
        (CLEARTEXT, b"HTTP/", NotHttp2Error),
        (CLEARTEXT, b"<!DOCTYPE HTML>", NotHttp2Error),
        (CLEARTEXT, b"\x15\x03\x03", NotHttp2Error),
        (CLEARTEXT, b"SSH-2", NotHttp2Error),
        (CLEARTEXT, b"", NotHttp2Error),
        (HOST, b"", ConnectError),
    ],
)
def test_connection_that_never_began_is_told(
    origin: Origin, first: bytes, kind: type[Exception]
) -> None:
    told = failures.no_start(origin, first, "the server closed the connection")

    assert type(told) is kind
    assert told.hint


@pytest.mark.parametrize(
    ("code", "processed"), [(ErrorCode.REFUSED_STREAM, False), (ErrorCode.CANCEL, True)]
)
def test_refused_streams_were_not_processed(code: ErrorCode, processed: bool) -> None:
    assert failures.stream_reset(1, code).processed is processed
    assert failures.stream_closed(code, "").processed is processed
    assert failures.stream_reset(1, code, begun=True).processed
    assert failures.stream_closed(code, "", begun=True).processed


def test_unknown_error_code_is_told_by_number() -> None:
    assert "0xabcd" in str(failures.stream_reset(1, 0xABCD))


def test_what_we_found_wrong_is_told_rather_than_the_code() -> None:
    told = failures.stream_closed(ErrorCode.CANCEL, "too many fields")

    assert str(told) == "the response was refused: too many fields"


@pytest.mark.parametrize("name", ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])
def test_proxy_of_the_environment_is_told_to_be_unused(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for one in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(one, raising=False)
    origin, error = Origin.parse("a.test"), ConnectionRefusedError(errno.ECONNREFUSED, "refused")
    before = failures.connect_failed(error, origin)

    monkeypatch.setenv(name, "http://proxy.test:3128")
    after = failures.connect_failed(error, origin)

    assert before.hint == "Is the server running, and is the port right?"
    assert after.hint == f"{name} is set, but not used for this connection."
    assert failures.unused_proxy(Origin.parse("localhost")) == ""


def test_python_s_own_server_is_known_to_answer_in_http_1(tmp_path: Path) -> None:
    handler = partial(SimpleHTTPRequestHandler, directory=tmp_path)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            with (
                Client(f"http://127.0.0.1:{server.server_port}") as client,
                pytest.raises(NotHttp2Error, match=r"answers in HTTP/1\.1") as caught,
            ):
                client.get("/")
        finally:
            server.shutdown()
            thread.join()

    assert "headstart proxy" in caught.value.hint
