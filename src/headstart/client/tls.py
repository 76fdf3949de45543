"""Whom a client trusts, and how it says who it is.

Reads the system's roots, the files that the user names, and the development CA of
`headstart.devca`, which counts for loopback names only. Called by `client.connection`.
"""

from __future__ import annotations

import ipaddress
import os
import ssl
from functools import lru_cache
from pathlib import Path

from headstart import devca
from headstart.errors import ConfigurationError


def client_context(
    cafile: Path | None,
    insecure: bool,
    host: str,
    certfile: Path | None = None,
    keyfile: Path | None = None,
    protocols: tuple[str, ...] = ("h2",),
) -> ssl.SSLContext:
    """Return a context for TLS 1.2 or later that verifies servers; it is shared by later calls.

    This reads files, so call it on another thread if waiting for them matters.

    Args:
        cafile: Trusted instead of the system's roots and the development CA.
        insecure: Verify nothing.
        host: As in `Origin.host`; the development CA counts only for loopback names.
        certfile: A client certificate, PEM, for servers that ask for one.
        keyfile: Its key, if it is not in `certfile`.
        protocols: Offered by ALPN.

    Raises:
        ConfigurationError: A file cannot be read, or has the wrong content.
    """
    is_trusting = cafile is None and not insecure and is_loopback(host)
    if cafile is None and certfile is None and not is_trusting:
        # What such a context depends on, beside the system's files.
        depends_on = ssl.get_default_verify_paths(), os.environ.get("SSLKEYLOGFILE", "")
        return _of_system(insecure, protocols, depends_on)
    context = _fresh(cafile, insecure, protocols)
    if is_trusting:
        _trust_development_ca(context)
    if certfile is not None:
        _identify(context, certfile, keyfile)
    return context


@lru_cache(maxsize=8)
def _of_system(insecure: bool, protocols: tuple[str, ...], depends_on: object) -> ssl.SSLContext:
    """Return a context that trusts the system's roots; it is made once, since it takes 20 ms."""
    del depends_on
    return _fresh(None, insecure, protocols)


def _fresh(cafile: Path | None, insecure: bool, protocols: tuple[str, ...]) -> ssl.SSLContext:
    context = _verifying(cafile)
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # RFC 9113, 9.2
    context.set_alpn_protocols(protocols)
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _identify(context: ssl.SSLContext, certfile: Path, keyfile: Path | None) -> None:
    try:
        # Never ask for a passphrase on the terminal.
        context.load_cert_chain(certfile, keyfile, password=lambda: "")
    except ssl.SSLError as error:
        raise ConfigurationError(
            f"{certfile} cannot be used as a client certificate: {error.reason or error}",
            hint="Give a PEM certificate, and its key in the same file or in a key file.",
        ) from None
    except OSError as error:
        raise ConfigurationError(
            f"cannot read the client certificate {certfile}: {error.strerror}",
            hint="Check the paths of certificate and key, and their permissions.",
        ) from None


def _verifying(cafile: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=cafile)
    except ssl.SSLError:
        raise ConfigurationError(
            f"{cafile} holds no certificate", hint="A CA file is PEM: -----BEGIN CERTIFICATE-----."
        ) from None
    except OSError as error:
        raise ConfigurationError(
            f"cannot read the CA file {cafile}: {error.strerror}",
            hint="Check the path and its permissions.",
        ) from None


def _trust_development_ca(context: ssl.SSLContext) -> None:
    certificate = devca.ca_certificate()
    if certificate is None:
        return
    try:
        context.load_verify_locations(certificate)
    except OSError:
        return  # a damaged development CA is as good as none: then nothing more is trusted


def is_loopback(host: str) -> bool:
    """Return true if the name never leaves this machine (RFC 6761, 6.3; RFC 1122, 3.2.1.3)."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        name = host.removesuffix(".").lower()
        return name == "localhost" or name.endswith(".localhost")
