"""The start and the end of the server: checks, signals, sockets, workers, reload."""

from __future__ import annotations

import os
import resource
import signal
import socket
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from headstart.config import ServerOptions
from headstart.deliver.asgi import Receive, Scope, Send, current_send, send_channel
from headstart.errors import ConfigurationError
from headstart.server.application import check_application
from headstart.server.protocol import HeadstartProtocol
from headstart.server.run import Config, Learning, allow_open_files, serve
from tests.deliver.pages import Server, scope_of
from tests.server.apps import hello
from tests.server.live import ServerProcess, serving, until
from tests.server.raw import RawClient

SLOW = "tests.server.slow_app:app"


# Config.


def test_config_takes_uvicorns_settings_and_our_protocol() -> None:
    options = ServerOptions(push=False)
    config = Config(hello, options, port=1, log_config=None, headers=[("X-Own", "1")])
    config.load()

    assert config.http_protocol_class is HeadstartProtocol
    assert config.headstart is options
    assert config.encoded_headers == [(b"x-own", b"1"), (b"server", b"headstart")]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"server_header": False}, []),
        ({"headers": [("Server", "mine")]}, [(b"server", b"mine")]),
    ],
)
def test_server_field_can_be_another_or_none(
    settings: dict[str, Any], expected: list[tuple[bytes, bytes]]
) -> None:
    config = Config(hello, log_config=None, **settings)
    config.load()

    assert config.encoded_headers == expected


# Checks before the start.


async def test_frameworks_without_a_send_of_their_own_find_the_one_that_is_watched() -> None:
    found: list[Send] = []

    @dataclass
    class Request:
        scope: Scope

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        found.extend([send_channel(Request(scope)), send])

    config = Config(app, ServerOptions(log_format="json"), log_config=None)
    config.load()
    server = Server()
    current_send.set(server.send)
    await config.loaded_app(scope_of(), server.receive, server.send)

    assert found[0] is found[1] is not server.send


@pytest.mark.parametrize(
    "name", ["nowhere_at_all:app", "tests.server.apps:nothing", "tests.server.apps", ":app"]
)
def test_unknown_application_is_a_configuration_error(name: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        check_application(Config(name, log_config=None))

    assert "module:attribute" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("main.py", "main:app"),
        ("./main.py:site", "main:site --app-dir ."),
        ("src/shop/main.py:app", "main:app --app-dir src/shop"),
        ("http://127.0.0.1:80", "headstart proxy http://127.0.0.1:80"),
    ],
)
def test_file_or_url_in_place_of_an_application_is_told_how_to_name_it(
    name: str, hint: str
) -> None:
    with pytest.raises(ConfigurationError, match="is not the name of") as caught:
        check_application(Config(name, log_config=None))

    assert caught.value.hint.endswith(hint)


def test_known_application_passes() -> None:
    check_application(Config("tests.server.apps:hello", log_config=None))
    check_application(Config(hello, log_config=None))


def test_application_whose_own_import_fails_shows_its_own_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_app.py").write_text("import nowhere_at_all\n")
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(ModuleNotFoundError, match="nowhere_at_all"):
        check_application(Config("broken_app:app", log_config=None))


def test_workers_need_the_applications_name() -> None:
    with pytest.raises(ConfigurationError, match="several workers"):
        check_application(Config(hello, workers=2, log_config=None))


@pytest.mark.parametrize(
    ("soft", "hard", "expected"),
    [
        (1024, 500_000, 2256),
        (1024, 2000, 2000),
        (4096, 500_000, 4096),
        (1024, resource.RLIM_INFINITY, 2256),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, resource.RLIM_INFINITY),
    ],
)
def test_limit_of_open_files_is_raised_for_the_connections_that_are_taken(
    soft: int, hard: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = [(soft, hard)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, pair: limits.append(pair))

    allow_open_files(1000)

    assert limits[-1] == (expected, hard)


def test_server_of_an_ordinary_user_may_open_more_files_than_1024() -> None:
    with serving("tests.server.apps:hello", "--no-learn", open_files=1024) as server:
        soft, _ = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)

    assert soft == 2 * ServerOptions().max_connections + 256


# Serving.


@pytest.mark.parametrize("learning", [None, Learning()])
def test_start_that_fails_in_the_lifespan_is_uvicorns_exit_status(
    learning: Learning | None,
) -> None:
    async def app(scope: object, receive: object, send: object) -> None:
        raise RuntimeError("cannot start")

    with pytest.raises(SystemExit) as caught:
        serve(app, None, learning, port=0, lifespan="on", log_config=None)
    assert caught.value.code == uvicorn.config.STARTUP_FAILURE


def test_unix_socket_serves_and_is_removed_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    arguments = ["tests.server.apps:hello", "--uds", str(path)]
    server = ServerProcess("serve", *arguments)
    try:
        until(lambda: "running on unix socket" in server.log, "the start")
        assert stat.S_ISSOCK(path.stat().st_mode)
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(90)
            client.connect(str(path))
            client.sendall(b"GET /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            assert client.recv(65536).startswith(b"HTTP/1.1 200")
        server.terminate()
        server.wait()
    finally:
        server.end()

    assert not path.exists()


def test_sigterm_finishes_twenty_streams_and_takes_no_new_connection() -> None:
    with serving(SLOW) as server, RawClient(server.port) as client:
        streams = [client.request(b"/slow", method=b"POST", end_stream=False) for _ in range(20)]
        until(lambda: server.log.count("in flight") == 20, "the requests")
        server.terminate()
        client.until(lambda: len(client.goaways) == 2)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", server.port))
        for number, stream_id in enumerate(streams):
            client.send_data(stream_id, b"%d" % number, end_stream=True)
        bodies = [client.response(stream_id).body for stream_id in streams]
        client.until_closed()

        assert bodies == [b"%d" % n for n in range(20)]
        # uvicorn ends by the signal that it was sent.
        assert server.wait() == -signal.SIGTERM
        assert "Traceback" not in server.log


@pytest.mark.parametrize(
    "smallest",
    [
        ["--max-queued-connection", "1"],
        ["--stall-timeout", "1e-9", "--body-timeout", "1e-9"],
        ["--drain-timeout", "1e-9"],
    ],
)
def test_limits_as_small_as_can_be_still_answer_and_end(smallest: list[str]) -> None:
    with serving("tests.server.apps:hello", *smallest) as server, RawClient(server.port) as client:
        assert client.get(b"/x").body == b"/x over 2"

        server.terminate()
        client.until_closed()
        assert server.wait() == -signal.SIGTERM
        assert "Traceback" not in server.log


def test_sigterm_ends_in_time_though_a_stream_does_not() -> None:
    arguments = ["--timeout-graceful-shutdown", "1"]
    with serving(SLOW, *arguments) as server, RawClient(server.port) as client:
        client.request(b"/slow", method=b"POST", end_stream=False)
        until(lambda: "in flight" in server.log, "the request")
        server.terminate()

        assert server.wait() == -signal.SIGTERM
        assert "Cancel 1 running task" in server.log


def test_two_workers_serve_and_end_together() -> None:
    with serving(SLOW, "--workers", "2", "--timeout-worker-healthcheck", "60") as server:
        pids: set[bytes] = set()

        def ask() -> bool:
            with RawClient(server.port) as client:
                pids.add(client.get(b"/pid").body)
            return len(pids) == 2

        until(ask, "an answer of each worker")
        server.terminate()
        server.wait()

        assert str(server.process.pid).encode() not in pids
        assert "Traceback" not in server.log
        for pid in pids:
            with pytest.raises(ProcessLookupError):
                os.kill(int(pid), 0)


def test_changed_file_reloads_the_application(tmp_path: Path) -> None:
    source = (
        "from tests.server.apps import answer\n"
        "async def app(scope, receive, send):\n"
        "    await answer(send, b'{}')\n"
    )
    module = tmp_path / "reloaded_app.py"
    module.write_text(source.format("before"))
    arguments = ["--reload", "--reload-dir", str(tmp_path), "--lifespan", "off"]
    with serving("reloaded_app:app", *arguments, folder=tmp_path) as server:

        def said() -> bytes:
            with RawClient(server.port) as client:
                # The old process may take a connection and end before it answers.
                stream_id = client.request()
                client.until(lambda: client.responses[stream_id].ended or client.closed)
                return client.responses[stream_id].body

        assert said() == b"before"
        module.write_text(source.format("afterwards"))

        def reloads() -> bool:
            module.touch()  # a change before uvicorn's first look is none
            return "Reloading" in server.log

        until(reloads, "the reload")
        until(lambda: said() == b"afterwards", "the new application")
