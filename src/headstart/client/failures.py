"""Explain failures to the user: one line, and a hint.

Pure functions from the errors of sockets, TLS and HTTP/2 to those of `client.errors`. Called by
`client.connection`.
"""

from __future__ import annotations

import errno
import os
import re
import socket
import ssl
from contextvars import ContextVar
from dataclasses import replace

from headstart.client.errors import (
    ClientError,
    ClientTimeoutError,
    ConnectError,
    NotHttp2Error,
    Phase,
    RequestError,
    TlsError,
)
from headstart.client.origin import Origin
from headstart.client.tls import is_loopback
from headstart.reasons import Closing
from headstart.wire.connection import ErrorCode, error_name
from headstart.wire.events import ConnectionEnded

# X509_V_ERR_* of OpenSSL's x509_vfy.h.
_EXPIRED = frozenset({9, 10})
_UNKNOWN_ISSUER = frozenset({2, 18, 19, 20, 21})
_WRONG_NAME = frozenset({62, 64})
# What a server did that this side ends a connection for (docs/client.md).
_FLOODS = {
    Closing.CONTROL_FLOOD: "too many PING or SETTINGS frames",
    Closing.CONTINUATION_FLOOD: "a header section in too many CONTINUATION frames",
    Closing.WINDOW_FLOOD: "too many WINDOW_UPDATE frames",
    Closing.USELESS_FRAMES: "too many frames that say nothing",
}
# How Python words an error of OpenSSL: "[SSL] words (_ssl.c:1020)", the name too if it has one.
_IN_WORDS = re.compile(r"(?:\[Errno \d+\] )?\[SSL[^\]]*\] (.+) \(_ssl\.c:\d+\)")

# Headstart's 400 on a port of TLS, in the words of nginx's to a GET. To the preface of HTTP/2 nginx
# answers a 400 without them, and Apache, Node, h2o and nghttpd close the connection.
_ASKS_FOR_TLS = re.compile(rb"HTTP/1\.[01] 400 .*\bHTTPS port\b", re.DOTALL)
_BAD_REQUEST = re.compile(rb"HTTP/1\.[01] 400\b")


def connect_failed(error: OSError, origin: Origin) -> ClientError:
    """Explain a failure to connect, from the socket's error."""
    if isinstance(error, socket.gaierror):
        return ConnectError(
            f"there is no host {origin.host}: {error.strerror}",
            hint=unused_proxy(origin) or "Check the name.",
        )
    # asyncio joins the errors of several addresses into one without a number.
    numbers = {error.errno} if error.errno else _numbers_in(str(error))
    if numbers == {errno.ECONNREFUSED}:
        return ConnectError(
            f"{origin} refuses the connection",
            hint=unused_proxy(origin) or "Is the server running, and is the port right?",
        )
    if origin.scheme == "https" and isinstance(error, ConnectionError):
        return TlsError(
            f"{origin} closed the connection during the TLS handshake",
            hint="Does it speak TLS on this port? For cleartext, say http://.",
        )
    return ConnectError(
        f"cannot connect to {origin}: {error.strerror or error}",
        hint=unused_proxy(origin) or "Check host and port.",
    )


proxies_of_user: ContextVar[tuple[str, ...]] = ContextVar("headstart_proxies", default=())
"""Variables that name a proxy where the user is, if that is another process, as with `h2c`."""


def unused_proxy(origin: Origin) -> str:
    """Return advice for users whose environment names a proxy, which is not used."""
    if is_loopback(origin.host):
        return ""
    names = (f"{origin.scheme}_proxy", "all_proxy")
    given = [name for one in names for name in (one, one.upper()) if os.environ.get(name)]
    given += [name for name in proxies_of_user.get() if name.lower() in names]
    return f"{given[0]} is set, but not used for this connection." if given else ""


def _numbers_in(message: str) -> set[int]:
    return {int(number) for number in re.findall(r"\[Errno (\d+)\]", message)}


def tls_failed(error: ssl.SSLError, origin: Origin) -> ClientError:
    """Explain a failed handshake in one line with a hint."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _untrusted(error, origin)
    match _reason(error):
        case "WRONG_VERSION_NUMBER" | "HTTP_REQUEST" | "RECORD_LAYER_FAILURE":
            return TlsError(
                f"{origin} does not speak TLS on this port",
                hint=f"For HTTP/2 over cleartext: {replace(origin, scheme='http')}",
            )
        case "TLSV1_ALERT_NO_APPLICATION_PROTOCOL" | "NO_APPLICATION_PROTOCOL":
            return not_http2(origin)
        case "TLSV13_ALERT_CERTIFICATE_REQUIRED":
            return TlsError(
                f"{origin} requires a certificate of the client",
                hint="Name one with certfile=, or load it into the ssl_context.",
                hint_for_command="Name one with --cert FILE.",
            )
        case reason:
            why = reason.replace("_", " ").lower()
            return TlsError(
                f"the TLS handshake with {origin} failed: {why}",
                hint="The server must speak TLS 1.2 or later.",
            )


def _reason(error: ssl.SSLError) -> str:
    """Return OpenSSL's name for the error, "" for errors that Python raises itself."""
    reason: str | None = getattr(error, "reason", None)
    # Python has no name for alerts newer than its table, only OpenSSL's words.
    told = _IN_WORDS.fullmatch(str(error))
    return reason or (told[1].upper().replace(" ", "_") if told else str(error))


def not_http2(origin: Origin) -> NotHttp2Error:
    """ALPN gave no `h2`."""
    return NotHttp2Error(
        f"{origin} does not offer HTTP/2 (ALPN h2)",
        hint="Another port may, or HTTP/2 is switched off there.",
    )


def no_upgrade(origin: Origin, status: int) -> NotHttp2Error:
    """Explain that the server did not respond to `Upgrade: h2c` with 101.

    Args:
        status: The status it sent instead, 0 if the response is not HTTP/1.1.
    """
    answer = f"answers {status}" if status else "does not answer in HTTP/1.1"
    return NotHttp2Error(
        f"{origin} {answer} where it was asked to upgrade to HTTP/2",
        hint="It may take HTTP/2 by prior knowledge: try without the upgrade.",
    )


def _untrusted(error: ssl.SSLCertVerificationError, origin: Origin) -> TlsError:
    code = error.verify_code
    for_command = ""
    if code in _EXPIRED:
        hint = "The certificate is expired or not valid yet: renew it, or check the clocks."
    elif code in _WRONG_NAME:
        hint = "Connect to a name that the certificate was made for."
    else:
        its = "its" if code in _UNKNOWN_ISSUER else "the right"
        is_here = code in _UNKNOWN_ISSUER and is_loopback(origin.host)
        end = "; `headstart demo` makes one that is trusted here." if is_here else "."
        hint = f"Name {its} CA with cafile=, or with verify= of httpx{end}"
        for_command = f"Name {its} CA with --cacert FILE{end}"
    return TlsError(
        f"the certificate of {origin} is not trusted: {error.verify_message.rstrip('.')}",
        hint=hint,
        hint_for_command=for_command,
    )


def no_start(origin: Origin, first: bytes, reason: str) -> ClientError:
    """Explain that the connection ended before the server's SETTINGS came.

    Args:
        first: The first bytes received, if any.
        reason: Why it ended.
    """
    # RFC 8446, 5.1: an alert; the other records of a server begin with 0x16.
    is_tls = first[:2] in (b"\x15\x03", b"\x16\x03") or _ASKS_FOR_TLS.match(first)
    if is_tls and origin.scheme == "http":
        return NotHttp2Error(
            f"{origin} speaks TLS on this port",
            hint=f"Say {replace(origin, scheme='https')}",
        )
    # Python's servers, Django's and Flask's for development too, answer a version that they do not
    # know with HTML alone, as in HTTP/0.9.
    if first.startswith((b"HTTP/", b"<")):
        return NotHttp2Error(
            f"{origin} answers in HTTP/1.1, not HTTP/2",
            hint="Over cleartext the server must take HTTP/2 by prior knowledge. "
            "To load a site that does not, put headstart proxy in front of it."
            + (_perhaps_tls(origin) if _BAD_REQUEST.match(first) else ""),
        )
    if first or origin.scheme == "http":
        return NotHttp2Error(
            f"{origin} does not speak HTTP/2: {reason}",
            hint="Check host and port." + ("" if first else _perhaps_tls(origin)),
        )
    return ConnectError(f"{origin}: {reason}", hint="Look at the server's log.")


def _perhaps_tls(origin: Origin) -> str:
    """Return a sentence that ends a hint, "" if TLS was spoken."""
    secure = replace(origin, scheme="https")
    return f" If the port speaks TLS, say {secure}" if origin.scheme == "http" else ""


def connection_ended(event: ConnectionEnded) -> str:
    """Why a connection is over, in a few words that stand behind a colon."""
    if not event.error_code:
        return "the server closed the connection"
    if event.reason in _FLOODS:
        return f"the server sent {_FLOODS[event.reason]}"
    if event.reason is Closing.PROTOCOL_ERROR:
        return f"the server broke a rule of HTTP/2: {event.detail}"
    if event.reason is Closing.ENGINE_LIMIT:
        return f"the server passed a limit: {event.detail}"
    return event.detail or event.reason


def after(goaway: str) -> str:
    """Return the sentence about GOAWAY that ends an error of the connection."""
    return f" (after {goaway})" if goaway else ""


def timed_out(
    method: str, target: str, timeout: float, goaway: str, phase: Phase = Phase.RESPONSE
) -> ClientTimeoutError:
    """Nothing moved for so many seconds."""
    return ClientTimeoutError(
        f"no answer to {method} {target} within {timeout:g} s{after(goaway)}",
        phase=phase,
        hint="Wait longer with a larger time-out, or look at the server.",
    )


def stream_reset(stream_id: int, error_code: int, *, begun: bool = False) -> RequestError:
    """Explain that the server reset a stream (RFC 9113, 8.7 for requests it did not process).

    Args:
        begun: The response had begun, so the server has processed the request in any case.
    """
    return RequestError(
        f"the server reset stream {stream_id} ({error_name(error_code)})",
        processed=begun or error_code != ErrorCode.REFUSED_STREAM,
    )


def stream_closed(
    error_code: int, problem: str, *, goaway: str = "", begun: bool = False
) -> RequestError:
    """Explain why a stream closed before its response had ended.

    Args:
        problem: The defect found in the response, "" for none.
        goaway: The server's GOAWAY as text, "" if none came.
        begun: See `stream_reset`.
    """
    if problem:
        return RequestError(f"the response was refused: {problem}", too_large=True)
    if error_code == ErrorCode.REFUSED_STREAM and not begun:
        # RFC 9113, 6.8 and 8.7: above a GOAWAY's last stream, or refused one by one.
        why = f" ({goaway})" if goaway else ""
        return RequestError(f"the server did not process the request{why}", processed=False)
    # The server's own RST_STREAM is `stream_reset`: this one is the engine's.
    malformed = error_code == ErrorCode.PROTOCOL_ERROR
    why = f"the stream ended before the response ({error_name(error_code)})"
    return RequestError(why, malformed=malformed)
