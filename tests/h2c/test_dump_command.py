"""The real `h2c start --dump` with files, formats and keys."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from hario_core.models.har_1_2 import HarLog

from tests.h2c.push_server import PushServer, push_server
from tests.h2c.room import PATIENCE, Room, interrupt


@pytest.fixture
def server() -> Iterator[PushServer]:
    with push_server() as running:
        yield running


@pytest.fixture
def tls_server(tmp_path: Path) -> Iterator[PushServer]:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    context.set_alpn_protocols(["h2"])
    with push_server(context) as running:
        yield running


def entries(archive: Path) -> list[dict[str, Any]]:
    log = json.loads(archive.read_bytes())["log"]
    HarLog.model_validate_json(json.dumps(log), strict=True)
    found: list[dict[str, Any]] = log["entries"]
    return found


def test_an_archive_of_a_process_in_the_background_is_in_the_users_folder_and_can_be_replayed(
    room: Room, server: PushServer
) -> None:
    room.ok("start", "--detach", "--dump=visit.har", "--dump-format", "har")
    room.ok("connect", server.origin)
    room.ok("post", "--data", "hello", "/data")
    room.ok("get", "/data")
    room.ok("get", "-H", "authorization: s3cret", "/hints")
    room.ok("stop")

    found = entries(room.folder / "visit.har")
    by_path = {(e["request"]["method"], e["request"]["url"]): e for e in found}
    pushed = by_path["GET", f"{server.origin}/data"]
    hinted = by_path["GET", f"{server.origin}/hints"]
    assert (pushed["_was_pushed"], pushed["_parentStreamId"]) == (1, 1)
    assert pushed["response"]["content"]["text"] == "I received the following data: hello"
    assert by_path["POST", f"{server.origin}/data"]["request"]["postData"]["text"] == "hello"
    assert [hint["status"] for hint in hinted["_informational"]][:1] == [103]
    assert "s3cret" not in (room.folder / "visit.har").read_text()
    replay = [sys.executable, "-m", "headstart.cli", "replay", str(room.folder / "visit.har")]
    said = subprocess.run(replay, capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert f"visit.har: {len(found)} lines, 0 could not be read" in said.stdout


def test_a_process_that_is_killed_leaves_an_archive_of_what_was_finished(
    room: Room, server: PushServer
) -> None:
    foreground = room.start("--dump=visit.har", "--dump-format=har")
    room.ok("connect", server.origin)
    room.ok("get", "/one")
    room.ok("get", "/two")

    foreground.kill()
    foreground.wait(PATIENCE)

    urls = [entry["request"]["url"] for entry in entries(room.folder / "visit.har")]
    assert urls == [f"{server.origin}/one", f"{server.origin}/two"]


def test_json_is_an_object_a_line_on_standard_output(room: Room, server: PushServer) -> None:
    foreground = room.start("--dump", "--dump-format", "json", "--exclude", "WINDOW_UPDATE")
    room.ok("get", f"{server.origin}/x")

    assert interrupt(foreground) == 0
    assert foreground.stdout is not None
    frames = [json.loads(line) for line in foreground.stdout.read().splitlines()]
    asked, *answered = [frame for frame in frames if frame["stream"] == 1]
    assert (asked["direction"], asked["type"]) == ("sent", "HEADERS")
    assert [":path", "/x"] in asked["headers"]
    assert [frame["type"] for frame in answered][:2] == ["HEADERS", "DATA"]
    assert {frame["direction"] for frame in answered} == {"received"}
    assert "WINDOW_UPDATE" not in {frame["type"] for frame in frames}


def test_a_file_that_cannot_be_made_is_said_in_one_line(room: Room) -> None:
    for arguments in (["--detach"], []):
        result = room.h2c("start", "--dump=missing/frames.txt", *arguments)

        assert result.code in (1, 3)
        assert result.err.count("\n") == 1
        assert "missing/frames.txt: No such file or directory" in result.err
        assert room.h2c("pid").code == 3


@pytest.mark.parametrize("by_variable", [False, True])
def test_keys_are_written_for_each_tls_connection(
    by_variable: bool, room: Room, tls_server: PushServer
) -> None:
    keys = room.folder / "keys"
    if by_variable:
        room.environment["SSLKEYLOGFILE"] = str(keys)
    room.ok("start", "--detach", *([] if by_variable else ["--keylog", "keys"]))

    room.ok("connect", "--cacert", "ca.pem", tls_server.origin)

    kinds = {line.split()[0] for line in keys.read_text().splitlines() if line[:1] != "#"}
    assert "CLIENT_TRAFFIC_SECRET_0" in kinds
    assert keys.stat().st_mode & 0o777 == 0o600


def test_keys_that_cannot_be_written_are_said_in_one_line(room: Room) -> None:
    result = room.h2c("start", "--keylog", "missing/keys")

    assert result.code == 1
    assert result.err.startswith("h2c: cannot write the TLS keys to ")
    assert result.err.count("\n") == 1
