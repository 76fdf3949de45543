"""What docs/security.md names is there: options, reasons, tests; and its example runs."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest

from headstart.cli import main
from headstart.reasons import Closing
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
