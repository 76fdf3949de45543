"""The `headstart` command: its help, its options, and one line for every mistake."""

from __future__ import annotations

import dataclasses
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import headstart
from headstart import cli, devca
from headstart.config import DeliverOptions, ServerOptions, WireLimits
from headstart.errors import ConfigurationError
from headstart.learn import LearnOptions
from headstart.server.run import Learning
from tests.server.live import ServerProcess, certificate, environment, running, serving
from tests.server.raw import RawClient

APP = "tests.server.apps:hello"
PATIENCE = 30


def headstart_says(*arguments: str, **variables: str) -> tuple[int, str, str]:
    """Run the command to its end: exit status, standard output, standard error."""
    done = subprocess.run(
        [sys.executable, "-m", "headstart.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env=environment() | variables,
    )
    return done.returncode, done.stdout, done.stderr


def assert_one_line(said: tuple[int, str, str], *parts: str) -> None:
    status, out, err = said
    assert status == 1, err
    assert out == ""
    assert len(err.splitlines()) == 1, err
    assert err.startswith("Error: ")
    assert err.endswith(".\n")
    for part in parts:
        assert part in err


# Help.


def said_in_process(*arguments: str) -> str:
    result = CliRunner().invoke(cli.main, arguments)
    assert result.exit_code == 0, result.output
    return result.output


def test_help_shows_both_commands_and_how_to_begin() -> None:
    for flag in ("--help", "-h"):
        text = said_in_process(flag)

        assert "headstart serve main:app" in text
        assert "headstart demo" in text
        assert "HEADSTART_SERVE_PORT" in text


def test_version_is_the_packages() -> None:
    assert headstart.__version__ in said_in_process("--version")


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


def test_help_of_demo_names_its_options() -> None:
    text = said_in_process("demo", "--help")

    for option in ("--host", "--port", "--certfile", "--keyfile", "--cleartext"):
        assert option in text
    assert "development CA" in text


# Mistakes.


def test_unknown_application_is_one_line() -> None:
    said = headstart_says("serve", "nowhere_at_all:app")

    assert_one_line(said, "nowhere_at_all", "module:attribute")


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


def test_certificate_of_another_key_is_one_line() -> None:
    made = certificate()
    files = ["--certfile", str(made.ca_certfile), "--keyfile", str(made.keyfile)]

    assert_one_line(headstart_says("demo", *files), "mismatch", "belong together")


@pytest.mark.parametrize("half", ["--certfile", "--keyfile"])
def test_half_a_certificate_is_one_line(half: str) -> None:
    said = headstart_says("demo", half, "some.pem")

    assert_one_line(said, "Give both --certfile and --keyfile")


def test_key_without_a_certificate_is_one_line() -> None:
    said = headstart_says("serve", APP, "--ssl-keyfile", str(certificate().keyfile))

    assert_one_line(said, "--ssl-certfile")


def test_cleartext_with_a_certificate_is_one_line() -> None:
    said = headstart_says("demo", "--cleartext", "--certfile", "a", "--keyfile", "b")

    assert_one_line(said, "contradict")


@pytest.mark.parametrize(
    "header", ["no colon", ": no name", "bad name: x", "Connection: close", "x: a\x01b"]
)
def test_header_that_cannot_be_sent_is_one_line(
    header: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "run_server", lambda *_, **__: None)
    result = CliRunner().invoke(cli.main, ["serve", APP, "--header", header])

    assert_one_line((result.exit_code, result.stdout, result.stderr), "--header")


@pytest.mark.parametrize(
    "wrong",
    [
        ["--port", "70000"],
        ["--port", "x"],
        ["--max-concurrent-streams", "-1"],
        ["--stream-window", "3000000000"],
        ["--connection-window", "0"],
        ["--idle-timeout", "-1"],
        ["--nothing"],
    ],
)
def test_wrong_call_is_exit_status_2_and_names_the_option(
    wrong: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "run_server", lambda *_, **__: None)
    result = CliRunner().invoke(cli.main, ["serve", APP, *wrong])

    assert result.exit_code == 2
    assert wrong[0] in result.stderr


def test_no_command_shows_the_help() -> None:
    status, out, err = headstart_says()

    assert status == 2
    assert "Usage:" in out + err


def test_error_of_the_tree_becomes_one_line_with_its_hint() -> None:
    @click.group(cls=cli._OneLineErrors)
    def group() -> None:
        pass

    @group.command()
    @click.argument("hint", default="")
    def fail(hint: str) -> None:
        raise ConfigurationError("it cannot be", hint=hint)

    run = CliRunner().invoke

    assert run(group, ["fail"]).output == "Error: it cannot be.\n"
    assert run(group, ["fail", "do this."]).output == "Error: it cannot be. Do this.\n"
    assert run(group, ["fail"]).exit_code == 1


# Options arrive.


def test_options_of_ours_and_of_uvicorns_reach_the_server(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    calls: list[tuple[str, ServerOptions, Learning | None, dict[str, object]]] = []

    def instead(
        app: str, options: ServerOptions, learning: Learning | None, **settings: object
    ) -> None:
        calls.append((app, options, learning, settings))

    monkeypatch.setattr(cli, "run_server", instead)
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


def test_default_header_is_on_every_response() -> None:
    with (
        serving(APP, "--header", "X-Own: 1", "--no-server-header") as server,
        RawClient(server.port) as client,
    ):
        response = client.get(b"/x")

        assert response.header(b"x-own") == b"1"
        assert response.header(b"server") is None


def test_application_is_found_in_app_dir_and_in_the_working_folder(tmp_path: Path) -> None:
    (tmp_path / "found_app.py").write_text("from tests.server.apps import hello as app\n")
    for arguments, folder in ((["--app-dir", str(tmp_path)], None), ([], tmp_path)):
        with (
            serving("found_app:app", *arguments, folder=folder) as server,
            RawClient(server.port) as client,
        ):
            assert client.get(b"/x").body == b"/x over 2"


# The demo.


@contextmanager
def demo(*arguments: str) -> Iterator[tuple[ServerProcess, int]]:
    """Run `headstart demo` on a port that is free; gives the process and the port."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    server = ServerProcess("demo", "--port", str(port), *arguments)
    server.port = port
    try:
        server.wait_until_started()
        yield server, port
    finally:
        server.end()


def post(client: RawClient) -> bytes:
    client.response(client.request(b"/data", method=b"POST", body=b"hello"))
    return client.response(2).body


def test_demo_serves_the_echo_with_a_certificate_that_the_development_ca_vouches_for() -> None:
    with demo() as (server, port), RawClient(port, tls=True) as client:
        assert isinstance(client.socket, ssl.SSLSocket)
        assert client.socket.selected_alpn_protocol() == "h2"
        assert post(client) == b"I received the following data: hello"
        assert f"https://localhost:{port}" in server.log
        assert f"h2c connect localhost:{port}\n" in server.log
        assert os.stat(devca.folder() / "localhost-key.pem").st_mode & 0o777 == 0o600


def test_demo_in_cleartext_says_how_to_connect() -> None:
    with demo("--cleartext") as (server, port), RawClient(port) as client:
        assert post(client) == b"I received the following data: hello"
        assert f"h2c connect http://localhost:{port}\n" in server.log


def test_demo_takes_a_certificate_of_the_users_own() -> None:
    made = certificate()
    files = ["--certfile", str(made.certfile), "--keyfile", str(made.keyfile)]
    with demo(*files) as (_, port), RawClient(port, tls=True) as client:
        assert post(client) == b"I received the following data: hello"


def test_demo_ends_quietly_on_ctrl_c() -> None:
    with demo("--cleartext") as (server, port):
        with RawClient(port) as client:
            post(client)
        os.kill(server.process.pid, 2)
        status = server.wait()

        assert status in (0, -2, 130)
        assert "Traceback" not in server.log
        assert "Aborted" not in server.log


def test_wildcard_port_in_use_is_seen_on_every_address() -> None:
    async def app(scope: object, receive: object, send: object) -> None: ...

    with running(app, lifespan="off") as server:
        said = headstart_says("demo", "--cleartext", "--port", str(server.port))

    assert_one_line(said, "in use")
