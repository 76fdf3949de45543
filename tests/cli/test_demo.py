"""`headstart demo`: its help, one line for every mistake, the echo over real sockets."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from headstart import devca
from headstart.devca import trust_command
from tests.cli.command import assert_one_line, headstart_says, said_in_process
from tests.ports import free_port
from tests.server.live import ServerProcess, certificate, running
from tests.server.raw import RawClient


@contextmanager
def demo(*arguments: str) -> Iterator[tuple[ServerProcess, int]]:
    """Run `headstart demo` on a port that is free; gives the process and the port."""
    port = free_port()
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


def test_help_of_demo_names_its_options() -> None:
    text = said_in_process("demo", "--help")

    for option in ("--host", "--port", "--certfile", "--keyfile", "--cleartext"):
        assert option in text
    assert "development CA" in text


def test_options_of_demo_that_the_security_policy_names_are_there() -> None:
    policy = (Path(__file__).parents[2] / "SECURITY.md").read_text()
    (named,) = re.findall(r"\(`headstart demo` takes (.*?)\)", policy, flags=re.DOTALL)
    options = re.findall(r"`(--[a-z-]+)`", named)

    assert options == ["--certfile", "--keyfile"]
    assert set(options) <= set(re.findall(r"--[a-z-]+", said_in_process("demo", "--help")))


def test_certificate_of_another_key_is_one_line() -> None:
    made = certificate()
    files = ["--certfile", str(made.ca_certfile), "--keyfile", str(made.keyfile)]

    assert_one_line(headstart_says("demo", *files), "mismatch", "belong together")


@pytest.mark.parametrize("half", ["--certfile", "--keyfile"])
def test_half_a_certificate_is_one_line(half: str) -> None:
    said = headstart_says("demo", half, "some.pem")

    assert_one_line(said, "Give both --certfile and --keyfile")


def test_cleartext_with_a_certificate_is_one_line() -> None:
    said = headstart_says("demo", "--cleartext", "--certfile", "a", "--keyfile", "b")

    assert_one_line(said, "contradict")


def test_demo_serves_the_echo_with_a_certificate_that_the_development_ca_vouches_for() -> None:
    with demo() as (server, port), RawClient(port, tls=True) as client:
        assert isinstance(client.socket, ssl.SSLSocket)
        assert client.socket.selected_alpn_protocol() == "h2"
        assert post(client) == b"I received the following data: hello"
        assert f"https://localhost:{port}" in server.log
        assert f"h2c connect localhost:{port}\n" in server.log
        assert trust_command(devca.folder() / "ca.pem") in server.log
        assert os.stat(devca.folder() / "localhost-key.pem").st_mode & 0o777 == 0o600


def test_demo_in_cleartext_says_how_to_connect() -> None:
    with demo("--cleartext") as (server, port), RawClient(port) as client:
        assert post(client) == b"I received the following data: hello"
        assert f"h2c connect http://localhost:{port}\n" in server.log
        assert "certutil" not in server.log


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
