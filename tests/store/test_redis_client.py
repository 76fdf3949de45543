from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from headstart.devca import DevCertificate
from headstart.errors import ConfigurationError
from headstart.store import RedisAddress, StoreError, offline, parse_place
from headstart.store.redis_client import PASSWORD_VARIABLE, check_installed, opened, told
from tests.peers import peer
from tests.ports import free_port
from tests.redis_server import redis_server
from tests.server.live import certificate, until
from tests.store.workers import Operator

SECRET = "correct-horse"
NOWHERE = RedisAddress("headstart", path="/nowhere")


def answers(address: RedisAddress) -> bool:
    with opened(address) as client, told(address):
        return bool(client.ping())


def test_database_of_the_url_is_used() -> None:
    with redis_server() as server:
        address = parse_place(server.url + "?db=3")
        assert isinstance(address, RedisAddress)
        with opened(address) as client:
            client.set("a", "b")

        assert server.info("keyspace").keys() == {"db3"}


def test_password_comes_from_url_file_or_environment_and_may_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "password"
    with redis_server(password=SECRET) as server:
        address = parse_place(server.url)
        assert isinstance(address, RedisAddress)
        with pytest.raises(StoreError, match="Authentication required"):
            answers(address)
        assert answers(replace(address, password=SECRET))
        assert answers(replace(address, password=SECRET, username="default"))

        by_file = replace(address, password_file=file)
        with pytest.raises(StoreError, match="No such file"):
            answers(by_file)
        file.write_bytes(b"\xff")
        with pytest.raises(StoreError, match="invalid username-password"):
            answers(by_file)
        file.write_text(SECRET + "\n")
        assert answers(by_file)

        monkeypatch.setenv(PASSWORD_VARIABLE, SECRET)
        assert answers(address)


def test_tls_server_is_checked() -> None:
    made: DevCertificate = certificate()
    tls = ["--tls-auth-clients", "no", "--tls-cert-file", str(made.certfile)]
    tls += ["--tls-key-file", str(made.keyfile)]
    with redis_server(*tls, tls=True) as server:
        trusted = replace(
            RedisAddress("headstart", "localhost", server.port, tls=True),
            files=(("ssl_ca_certs", str(made.ca_certfile)),),
        )

        assert answers(trusted)
        with pytest.raises(StoreError, match=r"(?i)certificate"):
            answers(replace(trusted, files=()))
        with pytest.raises(StoreError):
            answers(replace(trusted, tls=False, files=()))


def test_error_is_one_line_without_control_codes() -> None:
    with pytest.raises(StoreError) as caught, told(NOWHERE):
        raise RedisConnectionError("a\r\n\x1b[31mb " + "c" * 1000)

    assert str(caught.value).startswith("unix:///nowhere cannot be used: a [31mb ccc")
    assert len(str(caught.value)) < 300
    assert caught.value.hint


def test_host_that_cannot_be_looked_up_is_an_error() -> None:
    with pytest.raises(StoreError, match=r"redis://a\.\.b:6379/0 cannot be used"):
        answers(RedisAddress("headstart", "a..b"))


def test_error_without_a_text_is_named() -> None:
    with pytest.raises(StoreError, match="cannot be used: TimeoutError"), told(NOWHERE):
        raise TimeoutError


def test_missing_package_is_named_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)

    with pytest.raises(ConfigurationError, match="needs the package redis") as caught:
        check_installed(NOWHERE)

    assert "[redis]" in caught.value.hint


def test_sentinel_in_place_of_a_server_is_told(tmp_path: Path) -> None:
    port = free_port()
    configuration = tmp_path / "sentinel.conf"
    configuration.write_text(
        f"port {port}\nbind 127.0.0.1\ndir {tmp_path}\nsentinel monitor main 127.0.0.1 {port} 1\n"
    )
    command = [peer("redis-server"), str(configuration), "--sentinel"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as sentinel:
        try:
            address = RedisAddress("headstart", "127.0.0.1", port)
            until(lambda: "unknown command" in reason_of(address), "Sentinel")
            with pytest.raises(StoreError) as caught:
                offline.known(address, warn=Operator())
        finally:
            sentinel.kill()

    assert "a Sentinel is not one" in caught.value.hint


def reason_of(address: RedisAddress) -> str:
    try:
        offline.known(address, warn=Operator())
    except StoreError as error:
        return str(error)
    raise AssertionError
