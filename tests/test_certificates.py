from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from headstart import certificates

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOSTS = ("localhost", "127.0.0.1", "::1")


@pytest.fixture(scope="module")
def authority() -> certificates.KeyPair:
    return certificates.make_authority(NOW)


def issue(authority: certificates.KeyPair, now: datetime = NOW) -> x509.Certificate:
    return certificates.issue(authority, certificates.new_key(), HOSTS, now)


@pytest.mark.parametrize("host", [*HOSTS, "app.localhost", "127.9.8.7"])
def test_loopback_names_and_addresses_are_loopback(host: str) -> None:
    assert certificates.is_loopback(host)


@pytest.mark.parametrize(
    "host",
    ["", "example.com", "notlocalhost", "localhost.example.com", "128.0.0.1", "::2", "é.localhost"],
)
def test_other_names_and_addresses_are_not_loopback(host: str) -> None:
    assert not certificates.is_loopback(host)


def test_leaf_is_vouched_for_by_its_authority_only(authority: certificates.KeyPair) -> None:
    leaf = issue(authority)
    other = certificates.make_authority(NOW)

    assert certificates.vouches_for(authority.certificate, leaf, HOSTS, NOW)
    assert not certificates.vouches_for(other.certificate, leaf, HOSTS, NOW)


def test_leaf_is_vouched_for_with_exactly_its_hosts(authority: certificates.KeyPair) -> None:
    leaf = issue(authority)

    assert certificates.vouches_for(authority.certificate, leaf, reversed(HOSTS), NOW)
    assert not certificates.vouches_for(authority.certificate, leaf, HOSTS[:2], NOW)
    assert not certificates.vouches_for(authority.certificate, leaf, [*HOSTS, "a.localhost"], NOW)


def test_certificate_without_names_is_not_vouched_for(authority: certificates.KeyPair) -> None:
    itself = authority.certificate

    assert not certificates.vouches_for(itself, itself, HOSTS, NOW)


def test_certificate_is_current_until_a_month_before_its_end(
    authority: certificates.KeyPair,
) -> None:
    leaf = issue(authority)
    last = leaf.not_valid_after_utc - certificates.RENEW_BEFORE

    assert certificates.is_current(leaf, NOW)
    assert certificates.is_current(leaf, last - timedelta(seconds=1))
    assert not certificates.is_current(leaf, last)
    assert not certificates.is_current(leaf, NOW - timedelta(days=1))


def test_leaf_lives_no_longer_than_browsers_allow(authority: certificates.KeyPair) -> None:
    leaf = issue(authority)

    lifetime = leaf.not_valid_after_utc - leaf.not_valid_before_utc
    assert lifetime == timedelta(days=397)


def test_leaf_ends_no_later_than_its_authority(authority: certificates.KeyPair) -> None:
    leaf = issue(authority, NOW + timedelta(days=3500))

    assert leaf.not_valid_after_utc == authority.certificate.not_valid_after_utc


def test_authority_is_limited_to_server_certificates_for_loopback_names(
    authority: certificates.KeyPair,
) -> None:
    extensions = authority.certificate.extensions

    constraints = extensions.get_extension_for_class(x509.NameConstraints)
    permitted = constraints.value.permitted_subtrees or []
    assert constraints.critical
    assert [str(name.value) for name in permitted] == ["localhost", "127.0.0.0/8", "::1/128"]
    assert extensions.get_extension_for_class(x509.BasicConstraints).value.path_length == 0
    usage = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]


def test_key_and_certificate_survive_being_written(authority: certificates.KeyPair) -> None:
    certificate = certificates.load_certificate(certificates.certificate_pem(authority.certificate))
    key = certificates.load_key(certificates.key_pem(authority.key))

    assert certificate == authority.certificate
    assert key is not None
    assert certificates.belong_together(authority.certificate, key)
    assert not certificates.belong_together(authority.certificate, certificates.new_key())


def test_what_is_not_pem_is_none() -> None:
    assert certificates.load_certificate(b"no") is None
    assert certificates.load_key(b"no") is None


def test_key_of_another_kind_is_none() -> None:
    key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )

    assert certificates.load_key(pem) is None


def test_encrypted_key_is_none() -> None:
    pem = certificates.new_key().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )

    assert certificates.load_key(pem) is None
