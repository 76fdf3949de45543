"""`connect`, `ping` and the lists, and which servers to trust."""

from __future__ import annotations

import pytest

from headstart.h2c import options
from headstart.h2c.options.connections import (
    DEFAULT_INTERVAL,
    Connect,
    Connections,
    Disconnect,
    Ping,
    PushList,
    StreamInfo,
    Trust,
)
from tests.h2c.options.typed import exchange, mistake


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("connect a:1 -v --timeout 1", Connect("a:1", Trust(), 1.0, True)),
        ("connect --upgrade http://a:1", Connect("http://a:1", Trust(), 10.0, False, True)),
        ("connect a:1 --cacert ca.pem -k", Connect("a:1", Trust("ca.pem", True), 10.0, False)),
        ("disconnect", Disconnect()),
        ("connections", Connections()),
        ("push-list", PushList(False, False)),
        ("push-list -l --json", PushList(True, True)),
        ("stream-info --closed", StreamInfo(True, False)),
        ("stream-info -v", StreamInfo(False, True)),
        ("ping --timeout 1", Ping(1.0)),
        ("ping --count 3", Ping(10.0, 3, DEFAULT_INTERVAL)),
        ("ping --interval 500ms", Ping(10.0, None, 0.5)),
        ("ping --interval 2s --count 3", Ping(10.0, 3, 2.0)),
        ("ping --stop", Ping(10.0, 1, DEFAULT_INTERVAL, True)),
    ],
)
def test_each_command_has_its_options(line: str, command: options.Command) -> None:
    assert options.parse(line.split()) == command


@pytest.mark.parametrize("other", [["--count", "2"], ["--interval", "1s"]])
def test_series_is_not_ended_and_begun_at_once(other: list[str]) -> None:
    expected = "--stop excludes --interval and --count; see 'h2c ping --help'"
    assert mistake("ping", "--stop", *other) == expected


def test_ping_comes_a_whole_number_of_times() -> None:
    assert "is not a whole number from 1" in mistake("ping", "--count", "0")


def test_server_is_reached_and_verified_as_you_say() -> None:
    options = ["--cert", "c.pem", "--key", "k.pem", "-k", "--resolve", "a.test:443:[::1]"]
    command = exchange("get", *options, "--resolve", "A.test:80:127.0.0.1", "/")

    addresses = (("a.test", 443, "::1"), ("a.test", 80, "127.0.0.1"))
    assert command.trust == Trust("", True, "c.pem", "k.pem", addresses)
    assert command.trust.address_of("a.test", 80) == "127.0.0.1"
    assert command.trust.address_of("b.test", 80) is None


@pytest.mark.parametrize("value", ["a.test", "a.test:443", "a.test:x:::1", "a.test:1:b.test"])
def test_address_of_a_host_has_three_parts(value: str) -> None:
    assert "is not HOST:PORT:ADDRESS" in mistake("get", "--resolve", value, "/")


def test_key_needs_its_certificate() -> None:
    assert mistake("get", "--key", "k.pem", "/").startswith("--key goes with --cert")


def test_proxy_is_named_by_its_url() -> None:
    assert exchange("get", "-x", "http://proxy:3128", "/").trust.proxy == "http://proxy:3128"


@pytest.mark.parametrize("origin", ["https:/a.org:1", "https//a.org:1", "https:a.org:1"])
def test_a_server_with_a_broken_scheme_is_a_mistake(origin: str) -> None:
    expected = f"{origin!r} is not a server; write https://a.org:1; see "
    assert mistake("connect", origin).startswith(expected)
    assert mistake("wiretap", "localhost:1", origin).startswith(expected)
