"""What the observer sees of requests, through real servers."""

from __future__ import annotations

import json
import logging
import socket
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from headstart.config import ServerOptions
from headstart.errors import ConfigurationError
from headstart.observe import Observer
from tests.cli.command import assert_one_line, headstart_says
from tests.peers import peer
from tests.server.apps import Receive, Scope, Send, answer, hello, lifespan
from tests.server.live import ServerProcess, running, serving, until
from tests.server.raw import RawClient

SITE = "tests.admin.apps:site"
PAGE = [(b"accept", b"text/html"), (b"user-agent", b"Mozilla/5.0")]


def lines(server: ServerProcess) -> list[dict[str, Any]]:
    """The whole log, each line read; the last may not have ended."""
    return [json.loads(line) for line in server.log.split("\n") if line.endswith("}")]


def access(server: ServerProcess) -> list[dict[str, Any]]:
    """The lines of the access log."""
    return [line for line in lines(server) if line["logger"] == "headstart.access"]


def curl(server: ServerProcess, path: str, *more: str) -> str:
    command = [peer("curl"), "-s", "-m", "90", *more, f"http://127.0.0.1:{server.port}{path}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("workers", ["1", "2"])
def test_each_line_of_the_log_is_an_object_and_each_request_has_its_fields(workers: str) -> None:
    with serving(SITE, "--log-format", "json", "--no-learn", "--workers", workers) as server:
        curl(server, "/style.css?a=%22b", "-H", "X-Request-ID: from-the-proxy/1")
        curl(server, "/missing", "--http2-prior-knowledge", "-X", "POST", "-d", "x")
        curl(server, "/fails")
        until(lambda: "traceback" in server.log and len(access(server)) == 3, "the lines")
        found = {line["path"]: line for line in access(server)}
        failed = [line for line in lines(server) if "traceback" in line]
        server.terminate()
        server.wait()
        every = [json.loads(line) for line in server.log.splitlines()]

    style = found["/style.css?a=%22b"]
    assert style["client"].startswith("127.0.0.1:")
    assert 0 < style["duration"] < 60
    assert {name: style[name] for name in ("level", "message", "request_id", "method")} == {
        "level": "INFO",
        "message": "GET /style.css?a=%22b 200",
        "request_id": "from-the-proxy/1",
        "method": "GET",
    }
    assert (style["version"], style["pushed"], style["status"], style["bytes"]) == (
        *("1.1", False, 200),
        len("/* */" * 40),
    )
    assert (found["/missing"]["version"], found["/missing"]["status"]) == ("2", 404)
    assert found["/fails"]["status"] == 500
    (error,) = failed
    assert error["level"] == "ERROR"
    assert error["traceback"].endswith("RuntimeError: broken")
    assert error["request_id"] == found["/fails"]["request_id"]
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in every)


def test_page_tells_the_way_and_what_was_sent_and_refused(tmp_path: Path) -> None:
    store = ("--store", str(tmp_path / "store.sqlite3"), "--learn-control-share", "0")
    with serving(SITE, "--log-format", "json", *store) as server:
        with RawClient(server.port) as client:
            client.get(b"/", PAGE)
        until(lambda: access(server), "the first view")
        first = access(server)[0]
        for number in range(2, 10):
            with RawClient(server.port) as client:
                client.get(b"/", PAGE)
                client.settle()
            wait_for_pages(server, number)
            if pages(server)[-1]["way"] == "push":
                break
        last, everything = pages(server)[-1], access(server)

    assert first["way"] in ("push", "nothing")
    assert last["way"] == "push"
    assert sorted(last["sent"]) == ["/script.js", "/style.css"]
    assert last["refused"] == {}
    pushed = [line for line in everything if line["pushed"]]
    assert {line["path"] for line in pushed} == {"/script.js", "/style.css"}
    assert all("way" not in line for line in pushed)


def wait_for_pages(server: ServerProcess, number: int) -> None:
    until(lambda: len(pages(server)) == number, "the next view")


def pages(server: ServerProcess) -> list[dict[str, Any]]:
    return [line for line in access(server) if "way" in line]


HOSTILE = (
    b'GET /a%0a{"level":"ERROR"}%0d%0a HTTP/1.1\r\nHost: x\r\n'
    b'X-Request-ID: a", "status": 1, "b": "\r\nConnection: close\r\n\r\n'
)


def test_hostile_request_forges_no_line_and_no_field() -> None:
    with serving(SITE, "--log-format", "json", "--no-learn") as server:
        before = len(lines(server))
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(HOSTILE)
            while client.recv(65536):
                pass
        until(lambda: access(server), "the line")
        more = lines(server)[before:]

    (line,) = [one for one in more if one["logger"] == "headstart.access"]
    assert line["status"] == 404
    assert line["path"] == '/a%0a{"level":"ERROR"}%0d%0a'
    assert line["request_id"].isalnum()
    assert not [one for one in more if one["level"] == "ERROR"]


def test_no_access_log_leaves_the_other_lines() -> None:
    given = ("--log-format", "json", "--no-access-log", "--no-learn", "--use-colors")
    with serving(SITE, *given) as server:
        curl(server, "/")
        curl(server, "/fails")
        until(lambda: "traceback" in server.log)
        assert access(server) == []


def test_log_level_holds_for_the_access_log_too() -> None:
    given = ("--log-format", "json", "--no-learn", "--log-level", "warning", "--port", "0")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.set_inheritable(True)
        descriptor = listener.fileno()
        server = ServerProcess(
            "serve", SITE, *given, "--fd", str(descriptor), pass_fds=[descriptor]
        )
        server.port = listener.getsockname()[1]
        try:
            curl(server, "/style.css")
            curl(server, "/fails")
            until(lambda: "traceback" in server.log)
            assert {line["level"] for line in lines(server)} == {"ERROR"}
        finally:
            server.end()


def test_formats_that_contradict_each_other_are_one_line(tmp_path: Path) -> None:
    file = tmp_path / "log.ini"
    file.write_text("[loggers]\nkeys=root\n")

    said = headstart_says("serve", SITE, "--log-config", str(file), "--log-format", "json")

    assert_one_line(said, "--log-config", "JsonFormatter")


def observer_of(app: Any) -> Observer:
    assert isinstance(app, Observer)
    return app


def test_server_without_anything_to_observe_has_no_observer() -> None:
    with running(hello) as server:
        assert not isinstance(server.server.config.loaded_app, Observer)
        inner: Any = server.server.config.loaded_app
        while inner is not None:
            assert not isinstance(inner, Observer)
            inner = getattr(inner, "app", None)


async def leaving(scope: Scope, receive: Receive, send: Send) -> None:
    """Fail as an application does whose client has left, or whose file is not there."""
    if scope["type"] == "lifespan":
        return await lifespan(receive, send)
    if scope["path"] == "/started":
        await send({"type": "http.response.start", "status": 206, "headers": []})
        raise OSError("left")
    if scope["path"] == "/left":
        raise OSError("left")
    if scope["path"] == "/silent":
        return None
    return await answer(send, b"x")


async def test_requests_are_logged_however_they_end(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    observer = Observer(leaving, access=True)

    async def send(message: Any) -> None:
        pass

    async def receive() -> dict[str, Any]:
        raise AssertionError

    for path in ("/", "/left", "/started", "/silent"):
        scope: Scope = {
            "type": "http",
            "http_version": "2",
            "method": "GET",
            "path": path,
            "headers": [],
            "query_string": b"",
            "extensions": {"headstart": {"pushed": False}},
        }
        with suppress(OSError):
            await observer(scope, receive, send)

    assert [vars(record)["fields"]["status"] for record in caplog.records] == [200, 499, 206, 500]


async def test_lifespan_passes_unseen() -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    async def nothing(*_: Any) -> Any:
        raise AssertionError

    observer = Observer(app)
    await observer({"type": "lifespan"}, nothing, nothing)

    assert seen == ["lifespan"]


def test_options_of_the_log_are_checked() -> None:
    with pytest.raises(ConfigurationError, match="'xml' is not a format"):
        ServerOptions(log_format="xml")
