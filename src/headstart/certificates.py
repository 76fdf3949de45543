"""X.509 for the development CA: make and check the certificates that `devca` stores.

Pure: takes certificates, keys and a time, and returns certificates or a verdict. Called by `devca`
only when a certificate has to be checked, because `cryptography` is slow to load.

The CA is limited (RFC 5280, 4.2.1.10) to loopback names, so that a stolen CA key can impersonate
no other host. Python 3.13 verifies strictly by default, hence the key identifiers and the
criticality of each extension (RFC 5280, 4.2).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv4Network, IPv6Network, ip_address

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CA_LIFETIME = timedelta(days=3650)
LEAF_LIFETIME = timedelta(days=397)
"""Browsers refuse server certificates that are valid for more than 398 days."""

RENEW_BEFORE = timedelta(days=30)
_CLOCK_SKEW = timedelta(hours=1)

_LOOPBACK_V4 = IPv4Network("127.0.0.0/8")
_LOOPBACK_V6 = IPv6Network("::1/128")


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate and its private key, loaded and known to belong together."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return the private key as PEM (PKCS #8), not encrypted."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def certificate_pem(certificate: x509.Certificate) -> bytes:
    """Return the certificate as PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def new_key() -> ec.EllipticCurvePrivateKey:
    """Make a private key on P-256, the one curve that every TLS client supports."""
    return ec.generate_private_key(ec.SECP256R1())


def is_loopback(host: str) -> bool:
    """Return true if the CA may sign for `host`: localhost, a name below it, 127.0.0.0/8, ::1."""
    try:
        address = ip_address(host)
    except ValueError:
        return host.isascii() and (host == "localhost" or host.endswith(".localhost"))
    return address in _LOOPBACK_V4 or address in _LOOPBACK_V6


def load_certificate(pem: bytes) -> x509.Certificate | None:
    """Parse a certificate; return None if `pem` is not one."""
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError:
        return None


def load_key(pem: bytes) -> ec.EllipticCurvePrivateKey | None:
    """Parse a private key; return None if `pem` is not a key of the kind that we write."""
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError):
        return None
    return key if isinstance(key, ec.EllipticCurvePrivateKey) else None


def belong_together(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> bool:
    """Return true if `key` is the private key of `certificate`."""
    return certificate.public_key() == key.public_key()


def is_current(certificate: x509.Certificate, now: datetime) -> bool:
    """Return true if `certificate` is valid at `now` (aware), and for RENEW_BEFORE more."""
    starts, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return starts <= now and now + RENEW_BEFORE < ends


def vouches_for(
    authority: x509.Certificate, leaf: x509.Certificate, hosts: Iterable[str], now: datetime
) -> bool:
    """Return true if `leaf` is current, names exactly `hosts`, and is signed by `authority`."""
    try:
        leaf.verify_directly_issued_by(authority)
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    return set(names) == set(_general_names(hosts)) and is_current(leaf, now)


def make_authority(now: datetime) -> KeyPair:
    """Make a CA that can sign server certificates for loopback names only."""
    key = new_key()
    # The name carries the year and a number, so that a browser's list tells two of them apart.
    serial = x509.random_serial_number()
    name = _name(f"Headstart development CA {now:%Y-%m-%d} {serial % 0x10000:04x}")
    builder = (
        _builder(name, name, key.public_key(), now)
        .serial_number(serial)
        .not_valid_after(now - _CLOCK_SKEW + CA_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(_loopback_only(), critical=True)
    )
    return KeyPair(builder.sign(key, hashes.SHA256()), key)


def issue(
    authority: KeyPair, key: ec.EllipticCurvePrivateKey, hosts: Iterable[str], now: datetime
) -> x509.Certificate:
    """Issue a server certificate for `key` and `hosts` that ends no later than its authority."""
    issuer = authority.certificate
    issuer_id = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    ends = min(now - _CLOCK_SKEW + LEAF_LIFETIME, issuer.not_valid_after_utc)
    builder = (
        _builder(_name("Headstart development server"), issuer.subject, key.public_key(), now)
        .serial_number(x509.random_serial_number())
        .not_valid_after(ends)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.SubjectAlternativeName(_general_names(hosts)), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer_id),
            critical=False,
        )
    )
    return builder.sign(authority.key, hashes.SHA256())


def _builder(
    subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey, now: datetime
) -> x509.CertificateBuilder:
    """Return a builder with the fields that the CA and a leaf share."""
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .not_valid_before(now - _CLOCK_SKEW)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        # On the CA too: verifiers take it as a limit on what the CA may sign.
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _general_names(hosts: Iterable[str]) -> list[x509.GeneralName]:
    return [_general_name(host) for host in hosts]


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _loopback_only() -> x509.NameConstraints:
    permitted = [
        x509.DNSName("localhost"),
        x509.IPAddress(_LOOPBACK_V4),
        x509.IPAddress(_LOOPBACK_V6),
    ]
    return x509.NameConstraints(permitted_subtrees=permitted, excluded_subtrees=None)


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
