"""The start and the end of the server: checks, signals, sockets, workers, reload."""

from __future__ import annotations

import errno
import os
import signal
import socket
import stat
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from cryptography.hazmat.primitives import serialization as s

from headstart.config import ServerOptions
from headstart.errors import ConfigurationError
from headstart.server import run
from headstart.server.protocol import HeadstartProtocol
from headstart.server.run import Config, check_address, check_application, check_certificate, serve
from tests.server.apps import hello
from tests.server.live import ServerProcess, certificate, serving, until
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


@pytest.mark.parametrize(
    "name", ["nowhere_at_all:app", "tests.server.apps:nothing", "tests.server.apps", ":app"]
)
def test_unknown_application_is_a_configuration_error(name: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        check_application(Config(name, log_config=None))

    assert "module:attribute" in caught.value.hint


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


def certified(**files: Any) -> Config:
    return Config(hello, log_config=None, **files)


def test_certificate_and_its_key_pass() -> None:
    made = certificate()

    check_certificate(certified(ssl_certfile=made.certfile, ssl_keyfile=made.keyfile))


def test_no_certificate_is_fine() -> None:
    check_certificate(certified())


def test_key_without_certificate_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="without a certificate"):
        check_certificate(certified(ssl_keyfile=certificate().keyfile))


def test_missing_key_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    missing = tmp_path / "none.pem"

    with pytest.raises(ConfigurationError, match=r"none\.pem cannot be read: No such file"):
        check_certificate(certified(ssl_certfile=certificate().certfile, ssl_keyfile=missing))


def test_certificate_of_another_key_is_an_error() -> None:
    made = certificate()

    with pytest.raises(ConfigurationError, match="key values mismatch") as caught:
        check_certificate(certified(ssl_certfile=made.ca_certfile, ssl_keyfile=made.keyfile))
    assert "belong together" in caught.value.hint


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"ssl_ciphers": "NONE-SUCH"}, "cipher"),
        ({"ssl_version": 99}, "protocol version 99"),
        ({"ssl_cert_reqs": 9}, "9 is not a valid VerifyMode"),
        ({"ssl_ca_certs": "none.pem"}, r"none\.pem cannot be read"),
    ],
)
def test_tls_that_cannot_be_set_up_is_an_error(settings: dict[str, Any], message: str) -> None:
    made = certificate()
    files = {"ssl_certfile": made.certfile, "ssl_keyfile": made.keyfile}

    with pytest.raises(ConfigurationError, match=message):
        check_certificate(certified(**files, **settings))


def test_file_that_is_no_pem_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "x.pem").write_text("not a certificate")

    with pytest.raises(ConfigurationError, match="cannot be used"):
        check_certificate(certified(ssl_certfile=tmp_path / "x.pem"))


def test_encrypted_key_without_a_password_is_an_error_and_asks_nobody(tmp_path: Path) -> None:
    made = certificate()
    key = s.load_pem_private_key(made.keyfile.read_bytes(), None)
    secret = s.BestAvailableEncryption(b"secret")
    encrypted = tmp_path / "key.pem"
    encrypted.write_bytes(key.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, secret))
    files = {"ssl_certfile": made.certfile, "ssl_keyfile": encrypted}

    with pytest.raises(ConfigurationError) as caught:
        check_certificate(certified(**files))
    assert "--ssl-keyfile-password" in caught.value.hint
    check_certificate(certified(**files, ssl_keyfile_password="secret"))


def test_port_in_use_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(ConfigurationError, match=f"127.0.0.1:{port}") as caught:
            check_address(Config(hello, port=port, log_config=None))
    assert "another port" in caught.value.hint


@pytest.mark.parametrize("host", ["nowhere.invalid", "192.0.2.1"])
def test_address_that_is_not_ours_is_an_error(host: str) -> None:
    with pytest.raises(ConfigurationError, match=f"cannot listen on {host}") as caught:
        check_address(Config(hello, host=host, port=0, log_config=None))
    assert "of this machine" in caught.value.hint


def test_free_port_and_a_unix_socket_pass(tmp_path: Path) -> None:
    check_address(Config(hello, port=0, log_config=None))
    check_address(Config(hello, host="", port=0, log_config=None))
    check_address(Config(hello, uds=str(tmp_path / "s"), log_config=None))


def test_file_where_the_unix_socket_would_be_is_an_error_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "main.py"
    path.write_text("precious")

    with pytest.raises(ConfigurationError, match="it is no socket"):
        serve(hello, uds=str(path), log_config=None)
    assert path.read_text() == "precious"


def test_unix_socket_of_another_server_is_an_error_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()

        with pytest.raises(ConfigurationError, match="already in use"):
            serve(hello, uds=str(path), log_config=None)
    assert path.exists()


def test_unix_socket_that_a_dead_server_left_behind_passes(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))

    check_address(Config(hello, uds=str(path), log_config=None))


def test_unix_socket_in_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no such folder"):
        check_address(Config(hello, uds=str(tmp_path / "none" / "s"), log_config=None))


def test_descriptor_that_is_no_socket_is_an_error() -> None:
    with socket.socket() as given, open(os.devnull) as file:
        check_address(Config(hello, fd=given.fileno(), log_config=None))

        with pytest.raises(ConfigurationError, match=f"descriptor {file.fileno()}: "):
            check_address(Config(hello, fd=file.fileno(), log_config=None))


def test_hint_for_a_port_that_needs_rights() -> None:
    assert "below 1024" in run._address_hint(errno.EACCES)


# Serving.


def test_start_that_fails_in_the_lifespan_is_uvicorns_exit_status() -> None:
    async def app(scope: object, receive: object, send: object) -> None:
        raise RuntimeError("cannot start")

    with pytest.raises(SystemExit) as caught:
        serve(app, port=0, lifespan="on", log_config=None)
    assert caught.value.code == uvicorn.config.STARTUP_FAILURE


def test_unix_socket_serves_and_is_removed_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    arguments = ["tests.server.apps:hello", "--uds", str(path)]
    server = ServerProcess("serve", *arguments)
    try:
        until(lambda: "running on unix socket" in server.log, "the start")
        assert stat.S_ISSOCK(path.stat().st_mode)
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(20)
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
