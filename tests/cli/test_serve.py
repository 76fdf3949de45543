"""`headstart serve`: its help, its options, and one line for every mistake."""

from __future__ import annotations

import dataclasses
import http.client
import socket
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from uvicorn.config import STARTUP_FAILURE

from headstart import cli
from headstart.cli import serve
from headstart.config import DeliverOptions, ServerOptions, WireLimits
from headstart.learn import LearnOptions
from headstart.server.run import Learning
from tests.cli.command import (
    PATIENCE,
    assert_one_line,
    headstart_says,
    on_a_terminal,
    said_in_process,
)
from tests.server.live import certificate, serving
from tests.server.raw import RawClient

APP = "tests.server.apps:hello"


def test_help_of_serve_has_uvicorns_options_and_every_option_of_ours() -> None:
    text = said_in_process("serve", "--help")

    for name in ("host", "port", "reload", "workers", "ssl-certfile", "root-path", "header"):
        assert f"--{name} " in text
    kinds = {"": ServerOptions, " ": WireLimits, "deliver-": DeliverOptions, "learn-": LearnOptions}
    for prefix, kind in kinds.items():
        for field in dataclasses.fields(kind):
            if "help" in field.metadata:
                assert f"--{prefix.strip()}{field.name.replace('_', '-')} " in text
                assert field.metadata["help"].split()[0] in text


def test_help_of_serve_does_not_offer_what_is_ours_to_choose() -> None:
    text = said_in_process("serve", "--help")

    assert "--http " not in text
    assert "--h11-max-incomplete-event-size" not in text


def test_unknown_application_is_one_line() -> None:
    said = headstart_says("serve", "nowhere_at_all:app")

    assert_one_line(said, "nowhere_at_all", "module:attribute")


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("import nowhere_at_all\n", "No module named 'nowhere_at_all'. Install the package"),
        ("app = nothing\n", "name 'nothing' is not defined."),
        ("app = (\n", "'(' was never closed"),
    ],
)
def test_application_that_cannot_be_imported_shows_its_own_frames_and_why(
    source: str, told: str, tmp_path: Path
) -> None:
    (tmp_path / "broken_app.py").write_text(source)

    status, out, err = headstart_says("serve", "broken_app:app", "--app-dir", str(tmp_path))

    assert status == 1
    assert out == ""
    *trace, last = err.splitlines()
    assert last.startswith("Error: broken_app:app cannot be imported: ")
    assert told in last
    files = [line for line in trace if line.lstrip().startswith("File ")]
    assert files == [line for line in files if "broken_app.py" in line] != []


def test_unknown_attribute_is_one_line() -> None:
    assert_one_line(headstart_says("serve", "tests.server.apps:none"), '"none"', "main:app")


@pytest.mark.parametrize("command", [["serve", APP], ["demo", "--cleartext"]])
def test_port_in_use_is_one_line(command: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        said = headstart_says(*command, "--port", port)

    assert_one_line(said, port, "in use", "--port")


def test_unknown_host_is_one_line() -> None:
    said = headstart_says("serve", APP, "--host", "nowhere.invalid")

    assert_one_line(said, "nowhere.invalid", "--host")


def test_unreadable_key_is_one_line(tmp_path: Path) -> None:
    files = ["--ssl-certfile", str(certificate().certfile), "--ssl-keyfile", str(tmp_path / "no")]
    said = headstart_says("serve", APP, *files)

    assert_one_line(said, str(tmp_path / "no"), "cannot be read", "check the path".capitalize())


def test_key_without_a_certificate_is_one_line() -> None:
    said = headstart_says("serve", APP, "--ssl-keyfile", str(certificate().keyfile))

    assert_one_line(said, "--ssl-certfile")


def test_user_without_a_home_folder_is_served_from_memory_and_told_so(
    homeless: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[Learning | None] = []
    monkeypatch.setattr(
        serve, "run_server", lambda _app, _options, learning, **_: taken.append(learning)
    )

    result = CliRunner().invoke(cli.main, ["serve", APP])

    assert result.exit_code == 0
    assert "kept in memory" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert [learning and learning.store for learning in taken] == [None]
    assert taken[0] is not None


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_log_on_a_terminal_has_colour_unless_its_user_wants_none(
    no_color: str, coloured: bool
) -> None:
    app = "tests.server.apps:fails_to_start"

    status, shown = on_a_terminal("serve", app, "--port", "0", "--no-learn", NO_COLOR=no_color)

    assert status == STARTUP_FAILURE
    assert "Application startup failed" in shown
    assert ("\x1b[" in shown) is coloured


def test_folder_of_the_application_that_is_none_is_one_line() -> None:
    assert_one_line(headstart_says("serve", APP, "--app-dir", "nowhere"), "--app-dir nowhere")


def test_store_that_is_a_file_of_the_users_own_is_one_line(tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("A letter.")

    assert_one_line(headstart_says("serve", APP, "--store", str(notes)), str(notes), "another file")
    assert notes.read_text() == "A letter."


@pytest.mark.parametrize(
    "header", ["foo", "no colon", ": no name", "bad name: x", "Connection: close", "x: a\x01b"]
)
def test_header_that_cannot_be_sent_is_one_line(
    header: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve, "run_server", lambda *_, **__: None)
    result = CliRunner().invoke(cli.main, ["serve", APP, "--header", header])

    said = result.exit_code, result.stdout, result.stderr
    assert_one_line(said, "is not a response header", "Write --header 'NAME: VALUE'.")


@pytest.mark.parametrize(
    "wrong",
    [
        ["--port", "70000"],
        ["--port", "x"],
        ["--max-concurrent-streams", "-1"],
        ["--stream-window", "3000000000"],
        ["--connection-window", "0"],
        ["--idle-timeout", "-1"],
        ["--idle-timeout", "nan"],
        ["--workers", "0"],
        ["--limit-max-requests", "-1"],
        ["--timeout-keep-alive", "-1"],
        ["--nothing"],
    ],
)
def test_wrong_call_is_exit_status_2_and_names_the_option(
    wrong: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve, "run_server", lambda *_, **__: None)
    result = CliRunner().invoke(cli.main, ["serve", APP, *wrong])

    assert result.exit_code == 2
    assert wrong[0] in result.stderr


def test_options_of_ours_and_of_uvicorns_reach_the_server(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    calls: list[tuple[str, ServerOptions, Learning | None, dict[str, object]]] = []

    def instead(
        app: str, options: ServerOptions, learning: Learning | None, **settings: object
    ) -> None:
        calls.append((app, options, learning, settings))

    monkeypatch.setattr(serve, "run_server", instead)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("HEADSTART_SERVE_MAX_RESETS", "7")
    monkeypatch.setenv("HEADSTART_SERVE_PORT", "1234")
    arguments = ["--no-push", "--idle-timeout", "5", "--max-header-count", "9"]
    arguments += ["--learn-window", "3", "--deliver-max-assets", "4", "--store", "map.sqlite3"]
    more = ["--header", "X-Own:  a:b ", "--app-dir", str(tmp_path), "--root-path", "/r"]
    said_in_process("serve", "main:app", *arguments, *more)

    [(app, options, learning, settings)] = calls
    assert app == "main:app"
    assert options == ServerOptions(
        push=False,
        idle_timeout=5.0,
        limits=WireLimits(max_header_count=9, max_resets=7),
        deliver=DeliverOptions(max_assets=4),
    )
    assert learning == Learning(options=LearnOptions(window=3.0), store=Path("map.sqlite3"))
    assert settings["port"] == 1234
    assert settings["headers"] == [("X-Own", "a:b")]
    assert settings["root_path"] == "/r"
    assert settings["timeout_graceful_shutdown"] == 30
    assert sys.path[0] == str(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "seconds"),
    [
        (["--reload"], 3),
        (["--reload", "--timeout-graceful-shutdown", "9"], 9),
        (["--timeout-graceful-shutdown", "0"], 0),
    ],
)
def test_open_streams_hold_a_reload_up_for_a_few_seconds(
    arguments: list[str], seconds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {}
    monkeypatch.setattr(serve, "run_server", lambda *_, **settings: given.update(settings))
    monkeypatch.setattr(sys, "path", list(sys.path))

    said_in_process("serve", "main:app", *arguments)

    assert given["timeout_graceful_shutdown"] == seconds


def test_default_header_is_on_every_response() -> None:
    with (
        serving(APP, "--header", "X-Own: 1", "--no-server-header") as server,
        RawClient(server.port) as client,
    ):
        response = client.get(b"/x")

        assert response.header(b"x-own") == b"1"
        assert response.header(b"server") is None


def test_rum_serves_its_script_and_without_it_the_path_is_the_application_s(
    tmp_path: Path,
) -> None:
    for arguments, found in ((["--rum"], b"sendBeacon"), ([], b"/.headstart/rum.js over 2")):
        with (
            serving(APP, "--store", str(tmp_path / "map.sqlite3"), *arguments) as server,
            RawClient(server.port) as client,
        ):
            assert found in client.get(b"/.headstart/rum.js").body


@pytest.mark.parametrize(
    "other",
    [
        ["--no-learn"],
        ["--no-learn-measure"],
        ["--learn-control-share", "0"],
        ["--no-deliver-server-timing"],
    ],
)
def test_rum_is_refused_with_options_that_leave_nothing_to_compare(other: list[str]) -> None:
    said = headstart_says("serve", APP, "--rum", *other)

    assert_one_line(said, f"with {' '.join(other)} there is nothing that --rum could compare")


def test_application_is_found_in_app_dir_and_in_the_working_folder(tmp_path: Path) -> None:
    (tmp_path / "found_app.py").write_text("from tests.server.apps import hello as app\n")
    for arguments, folder in ((["--app-dir", str(tmp_path)], None), ([], tmp_path)):
        with (
            serving("found_app:app", *arguments, folder=folder) as server,
            RawClient(server.port) as client,
        ):
            assert client.get(b"/x").body == b"/x over 2"


def test_app_dir_comes_before_the_working_folder(tmp_path: Path) -> None:
    named, current = tmp_path / "named", tmp_path / "current"
    for folder in (named, current):
        folder.mkdir()
        (folder / "twice_app.py").write_text(
            "from tests.server.apps import answer\n"
            "async def app(scope, receive, send):\n"
            f"    await answer(send, {folder.name.encode()!r})\n"
        )
    arguments = ["--app-dir", str(named), "--lifespan", "off"]
    with (
        serving("twice_app:app", *arguments, folder=current) as server,
        RawClient(server.port) as client,
    ):
        assert client.get(b"/").body == b"named"


@pytest.mark.parametrize("workers", [[], ["--workers", "2"]])
def test_any_address_of_ipv6_is_any_address_of_ipv4_too(workers: list[str]) -> None:
    with serving(APP, "--host", "::", *workers) as server:
        for host in ("127.0.0.1", "::1"):
            with closing(http.client.HTTPConnection(host, server.port, timeout=PATIENCE)) as client:
                client.request("GET", "/")
                assert client.getresponse().status == 200
