"""Where to connect to, and what a URL or a path means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.client.origin import Origin, split_url
from headstart.errors import ConfigurationError
from headstart.wire.fields import valid_authority, valid_target


@pytest.mark.parametrize(
    ("text", "origin", "authority"),
    [
        ("localhost", Origin("https", "localhost", 443), b"localhost"),
        ("localhost:8443", Origin("https", "localhost", 8443), b"localhost:8443"),
        ("https://Example.TEST:443/", Origin("https", "example.test", 443), b"example.test"),
        ("http://a.test", Origin("http", "a.test", 80), b"a.test"),
        ("http://a.test:443", Origin("http", "a.test", 443), b"a.test:443"),
        ("HTTPS://a", Origin("https", "a", 443), b"a"),
        ("127.0.0.1:1", Origin("https", "127.0.0.1", 1), b"127.0.0.1:1"),
        ("[::1]", Origin("https", "::1", 443), b"[::1]"),
        ("http://[0:0::1]:8080", Origin("http", "::1", 8080), b"[::1]:8080"),
        ("[FE80::1%25eth0]", Origin("https", "fe80::1%eth0", 443), b"[fe80::1]"),
        ("http://[fe80::1%25eth0]:8080", Origin("http", "fe80::1%eth0", 8080), b"[fe80::1]:8080"),
        ("[fe80::1%eth0.1]", Origin("https", "fe80::1%eth0.1", 443), b"[fe80::1]"),
        ("[fe80::1%252]", Origin("https", "fe80::1%2", 443), b"[fe80::1]"),
        ("my_box:65535", Origin("https", "my_box", 65535), b"my_box:65535"),
        ("bücher.test", Origin("https", "xn--bcher-kva.test", 443), b"xn--bcher-kva.test"),
        ("straße.de", Origin("https", "xn--strae-oqa.de", 443), b"xn--strae-oqa.de"),
        ("i♥ny.test:1", Origin("https", "xn--iny-zx5a.test", 1), b"xn--iny-zx5a.test:1"),
        ("a.test:", Origin("https", "a.test", 443), b"a.test"),
    ],
)
def test_origin_is_read_and_written(text: str, origin: Origin, authority: bytes) -> None:
    assert Origin.parse(text) == origin
    assert origin.authority == authority


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":8443",
        "https://",
        "ftp://a.test",
        "a.test/path",
        "https://a.test/path",
        "a..test",
        "a." + 64 * "b",
        "a.test?q",
        "user@a.test",
        "a b",
        "a.test:0",
        "a.test:65536",
        "a.test:99999999999999999999",
        "a.test:x",
        "a.test:-1",
        "a.test:٣",
        "::1",
        "[::1",
        "[127.0.0.1]",
        "[::1]x",
        "[fe80::1%]",
        "[fe80::1%25]",
        "[fe80::1%25eth0%]",
        "[fe80::1%25a b]",
        "[::%25eth0%25eth0]",
        "[127.0.0.1%25eth0]",
        "a%25eth0",
        "-a.test",
        "a\r\n.test",
        "é" * 300,
        "é" + "b" * 63 + ".test",
        "a\uff0fb.test",
        "\u2100.test",
        "a..é",
        "a b.é",
    ],
)
def test_what_is_no_origin_gets_a_clear_error_with_a_hint(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Origin.parse(text)

    assert caught.value.hint
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "origin", "target"),
    [
        ("/", None, "/"),
        ("data", None, "/data"),
        ("", None, "/"),
        ("/a?b=c&d=%20#part", None, "/a?b=c&d=%20"),
        ("?q=1", None, "/?q=1"),
        ("/ä b", None, "/%C3%A4%20b"),
        ("*", None, "*"),
        ("/\udcff", None, "/%FF"),
        ("localhost:8443/x", None, "/localhost:8443/x"),
        ("/r?u=https://b.test/", None, "/r?u=https://b.test/"),
        ("https://a.test", Origin("https", "a.test", 443), "/"),
        ("https://a.test:8443/x?y#z", Origin("https", "a.test", 8443), "/x?y"),
        ("https://a.test?y", Origin("https", "a.test", 443), "/?y"),
        ("http://[::1]:80#z", Origin("http", "::1", 80), "/"),
    ],
)
def test_url_is_split_into_origin_and_target(text: str, origin: Origin | None, target: str) -> None:
    assert split_url(text) == (origin, target)


def test_text_that_cannot_be_encoded_gets_a_clear_error() -> None:
    with pytest.raises(ConfigurationError):
        split_url("/\ud800")


@given(st.text())
def test_every_text_becomes_a_path_that_can_be_sent_or_a_clear_error(text: str) -> None:
    try:
        origin, target = split_url(text)
    except ConfigurationError:
        return

    assert target == "*" or valid_target(target.encode("ascii"))
    assert origin is None or valid_authority(origin.authority)


@given(st.text())
def test_every_origin_that_is_read_is_read_again_from_its_own_text(text: str) -> None:
    try:
        origin = Origin.parse(text)
    except ConfigurationError:
        return

    assert Origin.parse(str(origin)) == origin
    assert valid_authority(origin.authority)


def test_a_user_in_a_url_is_refused_and_the_password_is_not_repeated() -> None:
    with pytest.raises(ConfigurationError, match="a URL with a user's name") as refusal:
        split_url("https://user:hunter2@a.test/")

    assert "hunter2" not in f"{refusal.value} {refusal.value.hint}"
