"""Whom a client trusts."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from headstart import devca
from headstart.client.tls import client_context, is_loopback
from headstart.errors import ConfigurationError
from tests.client.live import certificates


@pytest.fixture
def development_ca(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    files = certificates(tmp_path)
    monkeypatch.setattr(devca, "ca_certificate", lambda: files.cafile)
    return ssl.PEM_cert_to_DER_cert(files.cafile.read_text())


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("LOCALHOST.", True),
        ("app.localhost", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("notlocalhost", False),
        ("localhost.example.test", False),
        ("example.test", False),
        ("128.0.0.1", False),
        ("::2", False),
    ],
)
def test_development_ca_counts_for_loopback_names_only(
    host: str, loopback: bool, development_ca: bytes
) -> None:
    context = client_context(None, False, host)

    assert is_loopback(host) is loopback
    assert (development_ca in context.get_ca_certs(binary_form=True)) is loopback


def test_named_ca_is_trusted_instead_of_all_others(tmp_path: Path, development_ca: bytes) -> None:
    other = tmp_path / "other"
    other.mkdir()
    files = certificates(other)

    context = client_context(files.cafile, False, "localhost")

    assert context.get_ca_certs(binary_form=True) == [
        ssl.PEM_cert_to_DER_cert(files.cafile.read_text())
    ]


def test_names_are_verified_and_tls_is_recent() -> None:
    context = client_context(None, False, "example.test")

    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize("insecure", [False, True])
def test_context_with_the_systems_roots_is_made_once(insecure: bool) -> None:
    first = client_context(None, insecure, "a.example")

    assert client_context(None, insecure, "b.example") is first
    assert client_context(None, not insecure, "b.example") is not first
    assert client_context(None, insecure, "b.example", protocols=("h2", "http/1.1")) is not first


def test_context_is_made_anew_where_the_roots_or_the_key_log_are_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first = client_context(None, False, "a.example")

    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    other = client_context(None, False, "a.example")
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    logging = client_context(None, False, "a.example")

    assert len({id(context) for context in (first, other, logging)}) == 3


def test_insecure_verifies_nothing() -> None:
    context = client_context(None, True, "example.test")

    assert context.verify_mode is ssl.CERT_NONE
    assert not context.check_hostname


def test_missing_development_ca_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devca, "ca_certificate", lambda: None)

    assert client_context(None, False, "localhost").verify_mode is ssl.CERT_REQUIRED


def test_damaged_development_ca_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged = tmp_path / "ca.pem"
    damaged.write_text("no certificate")
    monkeypatch.setattr(devca, "ca_certificate", lambda: damaged)

    assert client_context(None, False, "localhost").verify_mode is ssl.CERT_REQUIRED


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_unusable_ca_file_gets_a_clear_error(tmp_path: Path, content: str | None) -> None:
    cafile = tmp_path / "ca.pem"
    if content is not None:
        cafile.write_text(content)

    with pytest.raises(ConfigurationError, match=r"ca\.pem") as caught:
        client_context(cafile, False, "localhost")

    assert caught.value.hint


@pytest.mark.parametrize("kept", ["certfile", "keyfile", "other"])
def test_client_certificate_that_cannot_be_used_is_told(kept: str, tmp_path: Path) -> None:
    files = certificates(tmp_path)
    certfile = files.keyfile if kept == "keyfile" else files.certfile
    keyfile = tmp_path / "none.pem" if kept == "other" else None

    with pytest.raises(ConfigurationError, match="client certificate") as caught:
        client_context(None, False, "localhost", certfile, keyfile)

    assert caught.value.hint


def test_client_certificate_and_key_may_be_one_file(tmp_path: Path) -> None:
    files = certificates(tmp_path)
    both = tmp_path / "both.pem"
    both.write_bytes(files.certfile.read_bytes() + files.keyfile.read_bytes())

    assert client_context(None, False, "localhost", both).verify_mode is ssl.CERT_REQUIRED
