"""Where an upstream is, as the command line takes it."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from headstart.errors import ConfigurationError
from headstart.proxy.upstream import Upstream, tls_context


@pytest.mark.parametrize(
    ("text", "upstream"),
    [
        ("http://10.0.0.2:8080", Upstream("http://10.0.0.2:8080", "10.0.0.2", 8080)),
        ("http://site/", Upstream("http://site/", "site", 80)),
        ("https://[::1]", Upstream("https://[::1]", "::1", 443, tls=True)),
        ("http://straße.de", Upstream("http://straße.de", "xn--strae-oqa.de", 80)),
        ("unix:/run/a.sock", Upstream("unix:/run/a.sock", path="/run/a.sock")),
        ("unix:///run/a.sock", Upstream("unix:///run/a.sock", path="/run/a.sock")),
    ],
)
def test_each_form_is_read(text: str, upstream: Upstream) -> None:
    assert Upstream.parse(text) == upstream


@pytest.mark.parametrize(
    "text",
    [
        "localhost:8080",
        "ftp://a",
        "http://",
        "http://a:99999",
        "http://a/path",
        "http://a?x",
        "http://me@a",
        "unix:relative",
        "",
    ],
)
def test_anything_else_is_refused_with_the_forms_there_are(text: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        Upstream.parse(text)

    assert repr(text) in str(raised.value)
    assert raised.value.hint


def test_certificates_are_checked_unless_told_otherwise() -> None:
    assert tls_context("", True).verify_mode == ssl.CERT_REQUIRED
    assert tls_context("", False).verify_mode == ssl.CERT_NONE


def test_authorities_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be used"):
        tls_context(str(tmp_path / "absent.pem"), True)
