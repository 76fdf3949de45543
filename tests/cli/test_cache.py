"""`headstart cache`, and the cache of a server with workers, of a proxy, and behind pushes."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from headstart.cli import main
from tests.server.live import PATIENCE, ServerProcess, serving

APP = "tests.cache.counted_app:app"


def told(*arguments: str) -> str:
    result = CliRunner().invoke(main, ["cache", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_cache_of_each_worker_is_listed_and_purged(tmp_path: Path) -> None:
    folder = str(tmp_path / "control")
    with serving(APP, "--workers", "2", "--cache", "2MiB", "--cache-control", folder) as server:
        url = f"http://127.0.0.1:{server.port}"
        for _ in range(20):  # a new connection each, so that both workers are asked
            assert httpx.get(f"{url}/a.css", timeout=PATIENCE).text.startswith("call ")
        listed = told("list", "--cache-control", folder)
        rows = [
            json.loads(line)
            for line in told("list", "--json", "--cache-control", folder).splitlines()
        ]
        purged = told("purge", "/a.css", "--cache-control", folder)
        left = told("list", "--cache-control", folder)

    stored = sum(len(row["entries"]) for row in rows)
    assert (len(rows), stored in (1, 2)) == (2, True)
    assert f"{url}/a.css" in listed
    for row in rows:
        assert f"Worker {row['worker']}:" in listed
    assert len({row["worker"] for row in rows}) == 2
    assert "of 2.0 MiB" in listed
    assert purged == f"{stored} purged\n"
    assert left.count("0 responses") == 2


def test_proxy_caches_without_being_told(tmp_path: Path) -> None:
    folder = str(tmp_path / "control")
    with serving(APP) as site:
        proxy = ServerProcess(
            "proxy", f"http://127.0.0.1:{site.port}", "--port", "0", "--cache-control", folder
        )
        try:
            proxy.wait_until_started()
            url = f"http://127.0.0.1:{proxy.port}/a.css"
            answers = [httpx.get(url, timeout=PATIENCE) for _ in range(3)]
        finally:
            proxy.end()

    assert [answer.text for answer in answers] == ["call 1"] * 3
    assert [answer.headers["cache-status"].split(";")[1].strip() for answer in answers] == [
        "fwd=uri-miss", "hit", "hit",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["list", "--cache-control", "/nonexistent"], "No running server has a cache"),
        (["purge", "a.css"], "neither a URL nor a path. Give https://HOST/PATH"),
    ],
)
def test_what_cannot_be_done_is_said(arguments: list[str], words: str) -> None:
    result = CliRunner().invoke(main, ["cache", *arguments])

    assert result.exit_code in (1, 2)
    assert words in result.output


def test_examples_of_the_help_have_a_line_each() -> None:
    lines = CliRunner().invoke(main, ["cache", "--help"]).output.splitlines()

    assert "  headstart cache list" in lines
    assert "  headstart cache purge '/css/*'" in lines


@pytest.mark.parametrize("size", ["many", "-1", "1.5MiB", "1 TiB"])
def test_size_that_is_none_is_refused(size: str) -> None:
    result = CliRunner().invoke(main, ["serve", APP, f"--cache={size}"])

    assert result.exit_code == 2
    assert "is not a size" in result.output


@pytest.mark.parametrize("open_one", ["headstart", "headstart/cache"])
def test_default_folder_that_others_may_enter_is_not_asked(
    open_one: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    for name in ("headstart", "headstart/cache"):
        (tmp_path / name).mkdir(mode=0o700)
    (tmp_path / open_one).chmod(0o755)

    result = CliRunner().invoke(main, ["cache", "list"])

    assert result.exit_code == 1
    assert f"{open_one} may be entered by others" in result.output
    assert "chmod 700" in result.output
