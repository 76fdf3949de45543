"""What docs/security.md names is there: options, reasons, tests, figures; and its example runs."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest

from headstart.cli import main
from headstart.config import ServerOptions
from headstart.reasons import Closing
from headstart.server import abandoned, admission, early, http1_parser, tls, websocket
from headstart.wire import frame_checks, guard, server_settings
from headstart.wire import server as wire_server
from headstart.wsgi import gathering
from tests.server.live import PATIENCE, serving, until

TESTS = Path(__file__).parent
DOCUMENT = (TESTS.parent / "docs" / "security.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", DOCUMENT, flags=re.MULTILINE | re.DOTALL)
NO_HOST = b"GET / HTTP/1.1\r\n\r\n"
ASK = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


def test_example_shows_the_counters(tmp_path: Path) -> None:
    ((_, application),) = [block for block in BLOCKS if block[0] == "python"]
    ((_, shown),) = [block for block in BLOCKS if block[0] == "json"]
    (tmp_path / "metrics.py").write_text(application)

    with serving("metrics:app", "--no-learn", folder=tmp_path) as server:  # comes, and goes
        with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as malformed:
            malformed.sendall(NO_HOST)
            while malformed.recv(4096):
                pass
        with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as client:

            def tells() -> bool:
                client.sendall(ASK)
                data = b""
                while not data.endswith(b"\r\n0\r\n\r\n"):
                    data += client.recv(4096)
                return shown.strip().encode() in data

            until(tells, "what the document shows")


def test_options_are_there(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["serve", "--help"])
    known = set(re.findall(r"--[a-z0-9][a-z0-9-]+", capsys.readouterr().out)) | {"--help"}

    assert set(re.findall(r"`(--[a-z0-9-]+)", DOCUMENT)) <= known


def test_reasons_are_there() -> None:
    words = set(re.findall(r"`([a-z]+(?:-[a-z]+)+)`", DOCUMENT)) - {"transfer-encoding"}

    assert words <= set(Closing)
    assert len(words) > 10


DEFAULTS = ServerOptions()
WIRE = DEFAULTS.limits
KIB, MIB = 1024, 1024 * 1024

# Phrases of the tables, as the code has their figures.
FIGURES = [
    f"{WIRE.max_resets:,} resets at once, {WIRE.max_resets // guard._REFILL} a second, and",
    f"given up after {1000 * guard._SHORT:g} ms or more counts a quarter",
    f"nothing new after {WIRE.max_resets // guard._MISTAKE}",
    f"with more than {wire_server._FEW} resets",
    f"{frame_checks._TURN // KIB} KiB of small frames are acted on in one turn",
    f"of one segment {frame_checks._TURN // frame_checks._A_FRAME} frames are acted on",
    f"more than {frame_checks._MAX_CONTINUATIONS} in one header section: calm",
    f"who leaves over {2 * DEFAULTS.max_abandoned_calls} on one connection",
    f"over {DEFAULTS.max_abandoned_calls} calls a worker",
    f"one whose request never came whole after {abandoned.UNREAD_GRACE:g} s",
    f"{WIRE.max_control_rate} a second, {2 * WIRE.max_control_rate} in a burst, and two more with",
    f"{guard.FREE_WINDOW_UPDATES}, and {WIRE.max_window_updates} for each part of a body",
    f"{WIRE.max_concurrent_streams} at once (SETTINGS_MAX_CONCURRENT_STREAMS)",
    f"for {early.SECONDS:g} s a stream, up to {early.BYTES // MIB} MiB a connection and"
    f" {early.BYTES_A_SECOND // MIB} MiB a second more; then, or after {early.SILENCE:g} s",
    f"{WIRE.max_pushes_per_request} at the most (`--max-pushes-per-request`)",
    f"after {WIRE.max_requests:,} a graceful GOAWAY, and {DEFAULTS.drain_timeout:g} s for open",
    f"{WIRE.max_queued_stream // KIB} KiB of body are queued a stream and"
    f" {WIRE.max_queued_connection // MIB} MiB a connection",
    f"over {WIRE.max_header_count} fields or {WIRE.max_header_size // KIB} KiB, decoded",
    f"over {server_settings._HARD_HEADER_COUNT:,} fields or"
    f" {server_settings._HARD_HEADER_SIZE // KIB} KiB",
    f"over {WIRE.max_target_size // KIB} KiB: 414",
    f"{WIRE.stream_window // KIB} KiB a stream and {WIRE.connection_window // MIB} MiB"
    f" a connection, which grow to {WIRE.max_stream_window // MIB} and"
    f" {WIRE.max_connection_window // MIB} MiB",
    f"grow by {DEFAULTS.max_window_growth // MIB} MiB together",
    f"{gathering._IN_MEMORY // KIB} KiB of each in memory, the rest in temporary files, up to"
    f" {DEFAULTS.wsgi_gather // MIB} MiB each",
    f"closed after {DEFAULTS.preface_timeout:g} s (`--preface-timeout`)",
    f"GOAWAY after {DEFAULTS.header_timeout:g} s (`--header-timeout`)",
    f"reset after {DEFAULTS.body_timeout:g} s (`--body-timeout`",
    f"less than {DEFAULTS.min_read_rate} bytes a second go out (`--min-read-rate`)",
    f"GOAWAY after {DEFAULTS.stall_timeout:g} s (`--stall-timeout`)",
    f"after {DEFAULTS.ping_interval:g} s of silence it is asked by PING",
    f"GOAWAY after {DEFAULTS.idle_timeout:g} s (`--idle-timeout`)",
    f"cut off after {DEFAULTS.drain_timeout:g} s (`--drain-timeout`)",
    f"a target over {WIRE.max_target_size // KIB} KiB; over {WIRE.max_header_count} fields or"
    f" {WIRE.max_header_size // KIB} KiB of them",
    f"over {http1_parser._MAX_EXTRAS // KIB} KiB a request: 400",
    f"{WIRE.max_control_rate} PING and PONG a second, {2 * WIRE.max_control_rate} in a burst",
    f"{websocket._A_TURN} frames are parsed in one turn",
    f"the oldest of over {DEFAULTS.max_abandoned_calls} such calls",
    f"{DEFAULTS.max_connections:,} a worker, {DEFAULTS.max_connections_per_address} an address",
    f"{DEFAULTS.max_unused_connections} a second,"
    f" {admission._BURST * DEFAULTS.max_unused_connections} at once (`--max-unused-connections`)",
    f"closed after {tls._FREE_EMPTY} such records, with one more allowed each second",
]


@pytest.mark.parametrize("figure", FIGURES)
def test_figures_of_the_tables_are_those_of_the_code(figure: str) -> None:
    rows = "\n".join(line for line in DOCUMENT.splitlines() if line.startswith("|"))

    assert figure in rows


HONEST = "honest traffic that comes closest, and passes"
FUNCTION = re.compile(r"^(?:async )?def (test_\w+)\(", flags=re.MULTILINE)


def test_tests_are_there() -> None:
    """By file and name, by name where no two files have it, or whole files."""
    defined = {
        str(path.relative_to(TESTS)): set(FUNCTION.findall(path.read_text()))
        for path in TESTS.rglob("test_*.py")
    }
    pattern = r"`(?:tests/)?((?:[a-z_0-9]+/)*test_\w+\.py)?(?:::)?(test_\w+)?`"
    named = [pair for pair in re.findall(pattern, DOCUMENT) if any(pair)]
    assert len(named) > 100
    for path, function in named:
        within = [path] if path else defined
        found = [one for one in within if not function or function in defined.get(one, ())]
        assert len(found) == 1, (path, function, found)


def test_each_attack_stands_beside_honest_traffic_that_passes() -> None:
    heads = r"^\| (?:attack|client) \| (.*?) \|.*\n\|[-|]+\|\n((?:\|.*\n)+)"
    tables = re.findall(heads, DOCUMENT, re.MULTILINE)

    assert [head for head, _ in tables] == [HONEST] * 7
    for _, rows in tables:
        for row in rows.splitlines():
            assert re.search(r"`\S*test_\w+`", row.split(" | ")[1]), row
