"""Whom a client trusts.

Reads the system's roots, the file that the user names, and the development CA of
`headstart.devca`, which counts for loopback names only. Called by `client.connection`.
"""

from __future__ import annotations

import ipaddress
import ssl
from pathlib import Path

from headstart import devca
from headstart.errors import ConfigurationError


def client_context(cafile: Path | None, insecure: bool, host: str) -> ssl.SSLContext:
    """TLS 1.2 or later with ALPN `h2`, verified.

    Args:
        cafile: Trusted instead of the system's roots and the development CA.
        insecure: Verify nothing.
        host: As in `Origin.host`; the development CA counts only where it is a loopback name.

    Raises:
        ConfigurationError: `cafile` cannot be read, or holds no certificate.
    """
    context = _verifying(cafile)
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # RFC 9113, 9.2
    context.set_alpn_protocols(["h2"])
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif cafile is None and is_loopback(host):
        _trust_development_ca(context)
    return context


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
    """Whether the name never leaves this machine (RFC 6761, 6.3; RFC 1122, 3.2.1.3)."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        name = host.removesuffix(".").lower()
        return name == "localhost" or name.endswith(".localhost")
