"""`wiretap`."""

from __future__ import annotations

import pytest

from headstart.client.origin import Origin
from headstart.h2c import options
from headstart.h2c.dump.text import DumpFormat
from headstart.h2c.options.connections import Trust
from headstart.h2c.options.wiretapping import Wiretap
from tests.h2c.options.typed import mistake


def wiretap(*arguments: str) -> Wiretap:
    command = options.parse(["wiretap", *arguments])
    assert isinstance(command, Wiretap)
    return command


def test_each_side_has_tls_unless_it_is_said_otherwise() -> None:
    command = wiretap("localhost:7000", "http://example.org:8080")

    assert command.local == Origin("https", "localhost", 7000)
    assert command.remote == Origin("http", "example.org", 8080)
    assert (command.dump.file, command.dump.format) == ("", DumpFormat.TEXT)


def test_frames_are_shown_as_for_start() -> None:
    command = wiretap(
        *("--dump", "x.har", "--dump-format", "har", "--keylog", "k", "--exclude=PING"),
        *("--cacert", "ca.pem", "localhost:7000", "localhost:8443"),
    )

    assert (command.dump.file, command.dump.format) == ("x.har", DumpFormat.HAR)
    assert (command.keylog, command.trust) == ("k", Trust("ca.pem"))
    assert command.dump.shown.exclude == {"PING"}


@pytest.mark.parametrize("local", ["localhost:0", "http://[::1]:0", "http://127.0.0.1:00/"])
def test_port_0_is_any_that_is_free(local: str) -> None:
    assert wiretap(local, "localhost:8443").local.port == 0


@pytest.mark.parametrize("local", ["7000", "0"])
def test_number_alone_is_a_port_of_this_machine(local: str) -> None:
    assert wiretap(local, "localhost:8443").local == Origin("https", "localhost", int(local))


@pytest.mark.parametrize("local", ["0.0.0.0:7000", "example.org:7000", "[::]:7000"])
def test_others_can_reach_it_only_if_that_is_said(local: str) -> None:
    assert "--listen-anywhere lets them" in mistake("wiretap", local, "localhost:8443")
    assert wiretap("--listen-anywhere", local, "localhost:8443").local.port == 7000


def test_a_key_without_a_certificate_is_a_mistake() -> None:
    said = mistake("wiretap", "--keyfile", "k", "localhost:7000", "localhost:8443")

    assert said == "--keyfile takes --certfile, too; see 'h2c wiretap --help'"
    both = wiretap("--certfile", "c", "--keyfile", "k", "localhost:7000", "localhost:8443")
    assert (both.certfile, both.keyfile) == ("c", "k")


def test_a_path_is_a_mistake() -> None:
    assert "more than a host" in mistake("wiretap", "localhost:7000", "localhost:8443/x")
