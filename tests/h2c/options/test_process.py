"""`start`, `stop`, `pid`, `version`, `wiretap`, `completion`, and the form of a dump."""

from __future__ import annotations

import pytest

from headstart.client.origin import Origin
from headstart.h2c import options
from headstart.h2c.dump.settings import DumpFormat, DumpOptions, FrameFilter
from headstart.h2c.options.connections import Trust
from headstart.h2c.options.process import SHELLS, Completion, Start, Wiretap
from tests.h2c.options.typed import mistake


def start(*arguments: str) -> Start:
    command = options.parse(["start", *arguments])
    assert isinstance(command, Start)
    return command


@pytest.mark.parametrize(
    ("arguments", "dump"),
    [
        ([], None),
        (["--dump"], DumpOptions()),
        (["--dump", "--show-secrets"], DumpOptions(show_secrets=True)),
        (["--dump=-"], DumpOptions()),
        (["--dump=x.har", "--dump-format=har"], DumpOptions("x.har", DumpFormat.HAR)),
        (["--dump", "x.txt"], DumpOptions("x.txt")),
    ],
)
def test_a_dump_goes_to_standard_output_or_to_a_file(
    arguments: list[str], dump: DumpOptions | None
) -> None:
    assert start(*arguments).dump == dump


def test_keys_are_kept_with_and_without_a_dump() -> None:
    assert start("--keylog", "keys").keylog == "keys"
    assert start("--dump", "--keylog=keys").keylog == "keys"


@pytest.mark.parametrize(
    "arguments",
    [["--include", "DATA"], ["--exclude=DATA"], ["--show-secrets"], ["--dump-format", "text"]],
)
def test_what_is_shown_of_no_dump_is_a_mistake(arguments: list[str]) -> None:
    assert mistake("start", *arguments) == (
        "--dump-format, --include, --exclude and --show-secrets need --dump; see 'h2c start --help'"
    )


def test_a_dump_in_the_background_needs_a_file() -> None:
    expected = "--dump with --detach needs a file: --dump=FILE; see 'h2c start --help'"
    assert mistake("start", "--detach", "--dump") == expected
    assert start("--detach", "--dump=x").dump == DumpOptions("x")


def test_in_the_foreground_there_is_no_idle_time_out() -> None:
    expected = "--idle-timeout needs --detach; see 'h2c start --help'"
    assert mistake("start", "--idle-timeout", "5") == expected


def test_frame_types_come_with_commas_or_several_times() -> None:
    command = options.parse(
        ["start", "--dump", "--include", "data,Headers", "--include", "PING", "--exclude", "PING"]
    )

    assert isinstance(command, Start)
    assert command.dump is not None
    assert command.dump.shown == FrameFilter.of(["DATA", "HEADERS", "PING"], ["PING"])
    assert command.dump.format is DumpFormat.TEXT


def test_an_unknown_frame_type_is_a_mistake() -> None:
    said = mistake("start", "--dump", "--exclude", "FRAME")
    assert said.startswith("no frame type is called 'FRAME'")


def test_an_unknown_format_is_a_mistake_that_names_the_known_ones() -> None:
    said = mistake("start", "--dump", "--dump-format", "xml")
    # Since 3.12.8 argparse names them without quotes.
    assert "text, json, har" in said.replace("'", "")


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


@pytest.mark.parametrize("shell", SHELLS)
def test_the_shells_are_known(shell: str) -> None:
    assert options.parse(["completion", shell]) == Completion(shell)


def test_another_shell_is_a_mistake() -> None:
    assert mistake("completion", "csh").endswith("see 'h2c completion --help'")
