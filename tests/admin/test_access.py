"""The address of the admin port and its token: one line for each mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from headstart.admin.access import TOKEN_VARIABLE, Access
from headstart.config import AdminOptions
from headstart.errors import ConfigurationError
from tests.ports import closed_port

TOKEN = "0123456789abcdef"


@pytest.mark.parametrize(
    ("given", "host", "port"),
    [
        ("127.0.0.1:9001", "127.0.0.1", 9001),
        ("9001", "127.0.0.1", 9001),
        ("localhost:0", "localhost", 0),
        ("[::1]:9001", "::1", 9001),
    ],
)
def test_address_is_host_and_port_or_a_port_of_loopback(given: str, host: str, port: int) -> None:
    access = Access.of(AdminOptions(admin=given))

    assert (access.host, access.port, access.token) == (host, port, "")


@pytest.mark.parametrize(
    "given",
    [
        ":9001",
        "127.0.0.1",
        "127.0.0.1:",
        "::1:9001",
        "[]:9001",
        "127.0.0.1:65536",
        "a:b",
        "\N{ARABIC-INDIC DIGIT THREE}:\N{ARABIC-INDIC DIGIT THREE}",
        "\N{ARABIC-INDIC DIGIT THREE}",
    ],
)
def test_anything_else_is_not_an_address(given: str) -> None:
    with pytest.raises(ConfigurationError, match="is not an address"):
        Access.of(AdminOptions(admin=given))


def test_unknown_host_is_told() -> None:
    with pytest.raises(ConfigurationError, match=r"'nowhere\.invalid' is unknown"):
        Access.of(AdminOptions(admin="nowhere.invalid:9001"))


@pytest.mark.parametrize("host", ["0.0.0.0", "[::]", "192.0.2.1"])
def test_address_that_others_reach_needs_a_token(host: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="has no token"):
        Access.of(AdminOptions(admin=f"{host}:9001"))

    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    assert Access.of(AdminOptions(admin=f"{host}:9001", admin_token_file=str(file))).token == TOKEN


def test_token_of_the_environment_holds_unless_there_is_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, TOKEN)
    assert Access.of(AdminOptions(admin="9001")).token == TOKEN

    file = tmp_path / "token"
    file.write_text(TOKEN[::-1])
    options = AdminOptions(admin="9001", admin_token_file=str(file))
    assert Access.of(options).token == TOKEN[::-1]


@pytest.mark.parametrize("content", ["", "hush!", "0123456789abcde\x00f", "a" * 15])
def test_weak_or_unprintable_token_is_refused_and_not_shown(content: str, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(content)

    with pytest.raises(ConfigurationError, match="the token in") as refused:
        Access.of(AdminOptions(admin="9001", admin_token_file=str(file)))

    assert not content or content not in str(refused.value)


def test_token_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        Access.of(AdminOptions(admin="9001", admin_token_file=str(tmp_path / "none")))

    file = tmp_path / "token"
    file.write_bytes(b"\xff" * 20)
    with pytest.raises(ConfigurationError, match="not ASCII"):
        Access.of(AdminOptions(admin="9001", admin_token_file=str(file)))


def test_names_are_localhost_the_host_and_those_of_the_option() -> None:
    options = AdminOptions(admin="127.0.0.1:9001", admin_host="Metrics.internal, bücher.example")

    names = Access.of(options).names

    assert names == {
        "localhost",
        "127.0.0.1",
        "metrics.internal",
        "xn--bcher-kva.example",
    }


def test_taken_port_is_told() -> None:
    with closed_port() as port:
        access = Access.of(AdminOptions(admin=str(port)))
        with pytest.raises(ConfigurationError, match=f"127.0.0.1:{port}: Address already in use"):
            access.listen()


def test_authority_of_ipv6_has_brackets() -> None:
    assert Access.of(AdminOptions(admin="[::1]:9001")).authority(9001) == "[::1]:9001"


def test_unknown_host_is_told_also_with_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, TOKEN)

    with pytest.raises(ConfigurationError, match=r"'nowhere\.invalid' is unknown"):
        Access.of(AdminOptions(admin="nowhere.invalid:9001"))


def test_name_without_an_address_to_listen_on_is_told_in_words() -> None:
    with pytest.raises(ConfigurationError, match="the name has no IPv4 address"):
        Access("nowhere.invalid", 0, frozenset(), TOKEN).listen()


@pytest.mark.parametrize("given", ["http://ops.lan", "ops.lan:9001", "*.lan", "a b", "a,b@c"])
def test_name_that_no_request_could_have_is_told(given: str) -> None:
    with pytest.raises(ConfigurationError, match="is not a host name"):
        Access.of(AdminOptions(admin="9001", admin_host=given))
