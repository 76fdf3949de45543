"""The checks before the start: certificates, addresses, what must be installed."""

from __future__ import annotations

import errno
import os
import socket
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization as s

from headstart.config import ServerOptions
from headstart.errors import ConfigurationError
from headstart.server import checks
from headstart.server.checks import (
    check_address,
    check_certificate,
    check_choices,
    check_settings,
    usable_logging,
)
from headstart.server.run import Config, serve
from tests.server.apps import hello
from tests.server.live import certificate


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

    with pytest.raises(ConfigurationError, match="holds no certificate in PEM"):
        check_certificate(certified(ssl_certfile=tmp_path / "x.pem"))


def test_certificate_without_a_key_is_told_what_is_missing() -> None:
    made = certificate()

    for keyfile in (None, made.ca_certfile):
        with pytest.raises(ConfigurationError, match="holds no private key") as caught:
            check_certificate(certified(ssl_certfile=made.certfile, ssl_keyfile=keyfile))
        assert "--ssl-keyfile" in caught.value.hint


def test_key_that_is_damaged_is_an_error(tmp_path: Path) -> None:
    made = certificate()
    begin, end = (f"-----{word} PRIVATE KEY-----" for word in ("BEGIN", "END"))
    (tmp_path / "key.pem").write_text(f"{begin}\nAAAA\n{end}\n")

    with pytest.raises(ConfigurationError, match="and its key cannot be used"):
        check_certificate(certified(ssl_certfile=made.certfile, ssl_keyfile=tmp_path / "key.pem"))


def test_encrypted_key_without_a_password_is_an_error_and_asks_nobody(tmp_path: Path) -> None:
    made = certificate()
    key = s.load_pem_private_key(made.keyfile.read_bytes(), None)
    secret = s.BestAvailableEncryption(b"secret")
    encrypted = tmp_path / "key.pem"
    encrypted.write_bytes(key.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, secret))
    files = {"ssl_certfile": made.certfile, "ssl_keyfile": encrypted}

    for password, said in ((None, "is missing"), ("wrong", "is wrong")):
        with pytest.raises(ConfigurationError, match=f"password for .* {said}") as caught:
            check_certificate(certified(**files, ssl_keyfile_password=password))
        assert "--ssl-keyfile-password" in caught.value.hint
    check_certificate(certified(**files, ssl_keyfile_password="secret"))


def test_encrypted_key_of_another_certificate_is_said_to_be_one(tmp_path: Path) -> None:
    made = certificate()
    key = s.load_pem_private_key(made.keyfile.read_bytes(), None)
    encrypted = tmp_path / "key.pem"
    secret = s.BestAvailableEncryption(b"secret")
    encrypted.write_bytes(key.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, secret))
    files = {"ssl_certfile": made.ca_certfile, "ssl_keyfile": encrypted}

    with pytest.raises(ConfigurationError, match="key values mismatch"):
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


@pytest.mark.parametrize(
    ("host", "hint"), [("[::1]", "--host ::1."), ("http://localhost", "not a URL")]
)
def test_address_in_a_url_s_notation_is_told_the_right_one(host: str, hint: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot listen") as caught:
        check_address(Config(hello, host=host, port=0, log_config=None))
    assert hint in caught.value.hint


def test_free_port_and_a_unix_socket_pass(tmp_path: Path) -> None:
    check_address(Config(hello, port=0, log_config=None))
    check_address(Config(hello, host="", port=0, log_config=None))
    check_address(Config(hello, uds=str(tmp_path / "s"), log_config=None))


def test_file_where_the_unix_socket_would_be_is_an_error_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "main.py"
    path.write_text("precious")

    with pytest.raises(ConfigurationError, match="it is not a socket"):
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
    assert "below 1024" in checks._address_hint(errno.EACCES, "--port")


# What uvicorn would end with a traceback for.


@pytest.mark.parametrize(
    ("settings", "package"),
    [
        ({"env_file": ".env"}, "python-dotenv"),
        ({"log_config": "log.yaml"}, "PyYAML"),
        ({"log_config": "log.yml"}, "PyYAML"),
    ],
)
def test_package_that_an_option_needs_is_named(
    settings: dict[str, Any], package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "find_spec", lambda _name: None)

    with pytest.raises(ConfigurationError, match=package) as caught:
        check_settings(settings)
    assert f"pip install {package}" in caught.value.hint


def test_number_of_workers_in_the_environment_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", "many")

    with pytest.raises(ConfigurationError, match="WEB_CONCURRENCY=many"):
        check_settings({})
    check_settings({"workers": 2, "log_config": "log.json", "env_file": None})


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("none.ini", None),
        ("x.ini", "x"),
        ("x.json", "{"),
        ("x.json", "[]"),
        ("x.json", "{}"),
        ("x.json", '{"version": 1, "handlers": {"a": {"class": "no.such"}}}'),
    ],
)
def test_log_config_that_cannot_be_used_is_an_error(
    name: str, content: str | None, tmp_path: Path
) -> None:
    file = tmp_path / name
    if content is not None:
        file.write_text(content)

    with pytest.raises(ConfigurationError, match=r"as --log-config: [\w/]"):
        serve(hello, log_config=str(file))


def test_other_errors_of_the_configuration_are_their_own() -> None:
    with pytest.raises(RuntimeError, match="other"), usable_logging({"log_config": None}):
        raise RuntimeError("other")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"loop": "zuvloop"}, "--loop zuvloop needs the module zuvloop"),
        ({"loop": "nothing"}, "--loop nothing: "),
        ({"ws": "wsproto"}, "--ws wsproto needs the module wsproto"),
        ({"ws": "tests.server.apps:nothing"}, "--ws tests.server.apps:nothing: "),
    ],
)
def test_choice_that_is_not_installed_is_an_error(
    settings: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A framework of the tests brings wsproto; a module that is None counts as missing.
    monkeypatch.setitem(sys.modules, "wsproto", None)
    monkeypatch.delitem(sys.modules, "uvicorn.protocols.websockets.wsproto_impl", raising=False)

    with pytest.raises(ConfigurationError, match=message):
        check_choices(Config(hello, log_config=None, **settings))


def test_choices_that_are_installed_pass() -> None:
    for ws in ("auto", "none", "websockets-sansio"):
        check_choices(Config(hello, log_config=None, loop="asyncio", ws=ws))
    check_choices(Config(hello, log_config=None, loop="none", ws=type("Protocol", (), {})))


def test_proxy_protocol_needs_somebody_to_trust() -> None:
    options = ServerOptions(proxy_protocol=True)
    config = Config(hello, options, proxy_headers=False, log_config=None)

    with pytest.raises(ConfigurationError, match="which addresses to trust") as caught:
        check_choices(config)
    assert "--forwarded-allow-ips" in caught.value.hint
    check_choices(Config(hello, options, log_config=None))
