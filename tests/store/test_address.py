from __future__ import annotations

from pathlib import Path

import pytest

from headstart.errors import ConfigurationError
from headstart.store.address import RedisAddress, has_password, parse_place


@pytest.mark.parametrize("text", ["learned.sqlite3", "/var/lib/map.db", "./redis", "a:b", "unix"])
def test_path_is_a_file(text: str) -> None:
    assert parse_place(text) == Path(text)


@pytest.mark.parametrize(
    ("text", "address", "shown"),
    [
        ("redis://", RedisAddress("headstart", "localhost"), "redis://localhost:6379/0"),
        ("redis://h", RedisAddress("headstart", "h"), "redis://h:6379/0"),
        ("redis://h:1/2", RedisAddress("headstart", "h", 1, db=2), "redis://h:1/2"),
        ("redis://[::1]:1", RedisAddress("headstart", "::1", 1), "redis://[::1]:1/0"),
        ("rediss://h/3/", RedisAddress("headstart", "h", tls=True, db=3), "rediss://h:6379/3"),
        (
            "rediss+cluster://h:7000",
            RedisAddress("headstart", "h", 7000, tls=True, cluster=True),
            "rediss+cluster://h:7000",
        ),
        (
            "redis+cluster://me@h/0?prefix=shop",
            RedisAddress("shop", "h", cluster=True, username="me"),
            "redis+cluster://h:6379?prefix=shop",
        ),
        (
            "redis://me:p%40ss@h/?prefix=shop",
            RedisAddress("shop", "h", username="me", password="p@ss"),
            "redis://h:6379/0?prefix=shop",
        ),
        (
            "unix://:secret@/run/r%20s?db=4",
            RedisAddress("headstart", path="/run/r s", db=4, password="secret"),
            "unix:///run/r s?db=4",
        ),
        (
            "rediss://h/?ssl_ca_certs=/ca.pem&password_file=/p&db=5",
            RedisAddress(
                "headstart",
                "h",
                tls=True,
                db=5,
                password_file=Path("/p"),
                files=(("ssl_ca_certs", "/ca.pem"),),
            ),
            "rediss://h:6379/5",
        ),
    ],
)
def test_url_is_a_server_and_is_shown_without_user_and_password(
    text: str, address: RedisAddress, shown: str
) -> None:
    assert parse_place(text) == address
    assert str(parse_place(text)) == shown
    assert "p@ss" not in repr(address)
    assert "secret" not in repr(address)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("redis:h", "begins 'redis'"),
        ("valkey://:secret@h", "begins 'valkey'"),
        ("REDIS://:secret@h", "begins 'REDIS'"),
        ("https://:secret@h", "begins 'https'"),
        ("redis://:secret@h:port", "invalid"),
        ("redis://:secret@[h", "invalid"),
        ("redis://:secret@h:99999", "invalid"),
        ("unix://:secret@host/run/redis", "invalid"),
        ("unix://:secret@", "invalid"),
        ("redis+cluster://:secret@h/1", "invalid"),
        ("redis+sentinel://:secret@h/1", "Redis Sentinel"),
        ("sentinel://:secret@h:26379/main/0", "Redis Sentinel"),
        ("redis://:secret@h/one", "not a number"),
        ("redis://:secret@h/²", "not a number"),
        ("redis://:secret@h/0?prefix={a}", "prefix"),
        ("redis://:secret@h/0?prefix=" + "a" * 65, "prefix"),
        ("redis://h/0?password=secret", "parameters"),
        ("redis://:a#secret@h/0", "has a #"),
    ],
)
def test_url_that_is_wrong_is_refused_and_not_repeated(text: str, why: str) -> None:
    with pytest.raises(ConfigurationError, match=why) as caught:
        parse_place(text)

    assert "secret" not in str(caught.value) + caught.value.hint
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "has"),
    [
        ("redis://:secret@h", True),
        ("redis://me:secret@h", True),
        ("unix://:secret@/run/redis", True),
        ("redis://:se@cret@h", True),
        ("redis://me@h:1/0", False),
        ("redis://h:1/0", False),
        ("redis://[::1]:1/0", False),
        ("learned:at@home", False),
    ],
)
def test_password_in_a_url_is_noticed(text: str, has: bool) -> None:
    assert has_password(text) is has
