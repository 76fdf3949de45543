"""Host names with other letters than ASCII, as browsers read them."""

from __future__ import annotations

import json
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.errors import ConfigurationError
from headstart.hosts import ascii_host
from tests.peers import peer

_NAMES = {
    "Example.ORG": "example.org",
    "straße.de": "xn--strae-oqa.de",
    "faß。de": "xn--fa-hia.de",
    "BÜCHER.example": "xn--bcher-kva.example",
    "σς.gr": "xn--3xab.gr",
    "i♥ny.example": "xn--iny-zx5a.example",
    "☃.net": "xn--n3h.net",
    "💩.la": "xn--ls8h.la",
    "❤\ufe0f.la": "xn--qei.la",
    "a_ß.de": "xn--a_-hia.de",
    "it\u2019s.example": "xn--its-so0a.example",
    "ab--ß.de": "xn--ab---yna.de",
    "127.0.0.1": "127.0.0.1",
    "日本語.jp.": "xn--wgv71a119e.jp.",
    "क्\u200dष.com": "xn--11b2ezcw70k.com",
    "אב.com": "xn--4dbc.com",
}


@pytest.mark.parametrize(("name", "host"), _NAMES.items())
def test_name_is_what_the_dns_has(name: str, host: str) -> None:
    assert ascii_host(name) == host


def test_names_are_those_of_a_browser() -> None:
    script = (
        "for (const name of JSON.parse(process.argv[1]))"
        " console.log(new URL('https://' + name).host)"
    )

    said = subprocess.run(
        [peer("node"), "-e", script, json.dumps(list(_NAMES))],
        capture_output=True,
        check=True,
        timeout=90,
    )

    assert said.stdout.decode().split() == list(_NAMES.values())


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("a\u200db.com", "a joiner may not be at position 2"),
        ("👩\u200d💻.la", "a joiner may not be at position 2"),
        ("1א.com", "must be directionality"),
        ("א.1com", "must be directionality"),
        ("\u0301a.com", "illegal combining character"),
        ("\u0378.com", "U\\+0378 not allowed at position 1"),
        ("\udcff.com", "U\\+DCFF not allowed at position 1"),
        ("é" * 254, "too long"),
    ],
)
def test_name_that_cannot_be_is_refused_with_the_reason(name: str, why: str) -> None:
    with pytest.raises(ConfigurationError, match=why) as caught:
        ascii_host(name)

    assert str(caught.value).isprintable()
    assert caught.value.hint


@given(st.text())
def test_every_name_becomes_ascii_or_a_clear_error(name: str) -> None:
    try:
        host = ascii_host(name)
    except ConfigurationError:
        return

    assert host.isascii()
    assert ascii_host(host) == host
