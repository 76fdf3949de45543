"""Stores on the command line: a Redis server by its URL, and where its password may stand."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from headstart import cli
from headstart.store import offline, parse_place
from tests.cli.command import headstart_says
from tests.redis_server import RedisServer, redis_server
from tests.store.workers import Operator, page

SECRET = "correct-horse"
LOG = Path(__file__).parents[2] / "docs" / "examples" / "access.log"


@pytest.fixture(scope="module")
def running() -> Iterator[RedisServer]:
    with redis_server(password=SECRET) as server:
        yield server


@pytest.fixture
def server(running: RedisServer, monkeypatch: pytest.MonkeyPatch) -> RedisServer:
    """A server that knows two pages; its password is in the environment."""
    running.client.flushall()
    monkeypatch.setenv("HEADSTART_REDIS_PASSWORD", SECRET)
    offline.tell([page("/"), page("/about")], parse_place(running.url), warn=Operator())
    return running


def run(*arguments: str, **variables: str) -> Result:
    return CliRunner().invoke(cli.main, arguments, env=variables)


def said(*arguments: str, **variables: str) -> str:
    result = run(*arguments, **variables)
    assert result.exit_code == 0, result.output
    return result.output


def test_map_and_all_its_commands_work_on_redis(server: RedisServer, tmp_path: Path) -> None:
    store = ["--store", server.url]
    exported = tmp_path / "map.json"

    assert "2 pages with 2 assets, 2 sent; kept in unix://" in said("map", *store)
    assert "/site.css: sent" in said("map", *store, "--why", "/about")
    said("map", "pin", "/about", "/hero.css", *store)
    said("map", "never", "/site.css", *store)
    said("map", "forget", "/", *store)
    shown = json.loads(said("map", *store, "--json"))
    said("map", "export", str(exported), *store)
    server.client.flushall()
    assert "Nothing has been learned yet" in said("map", *store)
    said("map", "import", str(exported), *store)

    assert {row["page"] for row in shown if row["sent"]} == {"/about"}
    assert [row["asset"] for row in shown if row["sent"]] == ["/hero.css"]
    assert {row["why"] for row in shown if row["asset"] == "/site.css"} == {"barred"}
    assert "https://site.example/" not in {row["page"] for row in shown}
    assert json.loads(said("map", *store, "--json")) == shown


def test_page_that_redis_does_not_know_is_one_line(server: RedisServer) -> None:
    result = run("map", "forget", "/nowhere", "--store", server.url)

    assert result.exit_code == 1
    assert f"/nowhere is not in {server.url}" in result.stderr


def test_reading_the_map_writes_nothing(server: RedisServer) -> None:
    server.client.flushall()

    said("map", "--store", server.url)

    assert server.names() == set()


def test_log_is_saved_to_redis(server: RedisServer) -> None:
    server.client.flushall()

    text = said("replay", str(LOG), "--save", server.url)

    assert f"headstart serve main:app --store {server.url}" in text
    assert "4 pages" in said("map", "--store", server.url)


@pytest.mark.parametrize(
    ("command", "variable"),
    [
        (["map"], "HEADSTART_MAP_STORE"),
        (["map", "never", "/a.css"], "HEADSTART_MAP_NEVER_STORE"),
        (["serve", "tests.visited_app:app"], "HEADSTART_SERVE_STORE"),
        (["proxy", "http://127.0.0.1:1"], "HEADSTART_PROXY_STORE"),
        (["replay", str(LOG)], "HEADSTART_REPLAY_SAVE"),
    ],
)
def test_password_in_a_command_line_is_refused_and_not_repeated(
    command: list[str], variable: str
) -> None:
    option = "--" + variable.rpartition("_")[2].lower()
    result = run(*command, option, f"redis://:{SECRET}@127.0.0.1:1/0")

    assert result.exit_code == 2
    assert f"variable {variable}," in " ".join(result.stderr.split())
    assert "HEADSTART_REDIS_PASSWORD" in result.stderr
    assert SECRET not in result.output


@pytest.mark.parametrize(
    ("command", "variable"),
    [
        (["map", "never", "/a.css"], "HEADSTART_MAP_NEVER_STORE"),
        (["replay", str(LOG)], "HEADSTART_REPLAY_SAVE"),
    ],
)
def test_variable_that_is_named_instead_works(
    server: RedisServer, command: list[str], variable: str
) -> None:
    server.client.flushall()

    said(*command, **{variable: server.url.replace("unix://", f"unix://:{SECRET}@")})

    assert server.names()


def test_password_is_taken_from_the_environment_or_a_file(
    server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HEADSTART_REDIS_PASSWORD")
    file = tmp_path / "password"
    file.write_text(SECRET + "\n")
    in_url = server.url.replace("unix://", f"unix://:{SECRET}@")

    by_file = said("map", "--store", f"{server.url}?password_file={file}")
    by_url = said("map", HEADSTART_SERVE_STORE=in_url)
    by_variable = said("map", "--store", server.url, HEADSTART_REDIS_PASSWORD=SECRET)

    assert by_file == by_url == by_variable
    assert SECRET not in by_url


def test_server_that_cannot_be_used_is_one_line(
    server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HEADSTART_REDIS_PASSWORD")
    nowhere = "unix:///nowhere/redis.sock"
    results = [
        run("map", "--store", server.url),
        run("map", "--store", nowhere),
        run("map", "--store", f"{server.url}?password_file={tmp_path}/none"),
        run("map", "--store", server.url, HEADSTART_REDIS_PASSWORD="battery-staple"),
    ]

    for result, part in zip(
        results,
        ("Authentication required", nowhere, "No such file", "invalid username-password"),
        strict=True,
    ):
        assert result.exit_code == 1
        assert len(result.stderr.splitlines()) == 1
        assert part in result.stderr
        assert "battery-staple" not in result.output


@pytest.mark.parametrize("command", [["map"], ["serve", "tests.visited_app:app"]])
def test_without_the_package_it_names_the_extra(
    command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)

    result = run(*command, "--store", "redis://127.0.0.1:1/0")

    assert result.exit_code == 1
    assert "[redis]" in result.stderr


def test_empty_name_of_the_place_to_save_to_is_refused_on_a_command_line() -> None:
    status, out, err = headstart_says("replay", "--save", "")

    assert (status, out) == (2, "")
    assert "it is empty. Give a file, or the URL of a Redis server." in err


def test_empty_variable_of_the_environment_names_no_store() -> None:
    by_variable = run("replay", str(LOG), HEADSTART_REPLAY_SAVE="")

    assert by_variable.exit_code == 0
    assert "saved to" not in by_variable.output


def test_url_that_is_wrong_says_which_forms_there_are() -> None:
    status, out, err = headstart_says("map", "--store", "redis:/127.0.0.1")

    assert (status, out) == (2, "")
    assert "redis://HOST:PORT/DB" in err
