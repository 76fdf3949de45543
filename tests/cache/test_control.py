"""List and purge, over the socket of a running server."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from headstart.cache import control as control_module
from headstart.cache.control import Control, ask, default_folder, matches, url_of
from headstart.cache.memory import Memory
from headstart.cache.requests import Key
from headstart.errors import ConfigurationError
from headstart.h2c.ipc import find_place
from tests.cache.test_memory import entry_of, request_of

URL = "https://site.example/css/a.css?v=1"


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        (URL, True),
        ("/css/a.css?v=1", True),
        ("/css/*", True),
        ("/*", True),
        ("https://site.example/*", True),
        ("/css/a.css", False),
        ("http://site.example/*", False),
        ("/CSS/*", False),
    ],
)
def test_pattern_is_a_url_or_a_path_of_any_host(pattern: str, found: bool) -> None:
    assert matches(request_of("/css/a.css?v=1").key, pattern) is found


@pytest.mark.parametrize("pattern", ["/x?", "https://site.example/x?"])
def test_pattern_with_an_empty_query_names_the_key_that_has_one(pattern: str) -> None:
    keys = [request_of(target).key for target in ("/x", "/x?", "/x?a")]

    assert [matches(key, pattern) for key in keys] == [False, True, False]


async def asked(folder: Path, question: dict[str, Any]) -> list[dict[str, Any]]:
    return await asyncio.to_thread(lambda: list(ask(folder, question)))


def control_of(memory: Memory, folder: Path) -> Control:
    return Control(memory, (), memory.remove, str(folder), lambda: 10.0)


async def test_responses_are_listed_and_purged(tmp_path: Path) -> None:
    memory = Memory(100_000)
    for target in ("/css/a.css?v=1", "/b.js"):
        memory.put(request_of(target).key, entry_of(100))
    folder = tmp_path / "control"
    control = control_of(memory, folder)
    await control.start()

    (listed,) = await asked(folder, {"list": True})
    purged = await asked(folder, {"purge": "/css/*"})
    await control.stop()

    assert [row["url"] for row in listed["entries"]] == [URL, "https://site.example/b.js"]
    assert (listed["entries"][0]["age"], listed["entries"][0]["fresh_for"]) == (10, 50)
    assert purged == [{"worker": str(os.getpid()), "purged": 1}]
    assert [key[2] for key, _ in memory] == [b"/b.js"]
    assert list(folder.iterdir()) == []


async def test_socket_that_nobody_listens_on_any_more_is_removed(tmp_path: Path) -> None:
    left = tmp_path / "1.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(left))

    assert await asked(tmp_path, {"list": True}) == []
    assert not left.exists()


async def test_folder_that_others_may_enter_is_not_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tmp_path.chmod(0o755)
    control = control_of(Memory(1000), tmp_path)

    with caplog.at_level(logging.WARNING, "headstart.cache"):
        await control.start()
    await control.stop()

    assert "cannot be listed" in caplog.text
    assert f"Run chmod 700 {tmp_path}." in caplog.text
    assert list(tmp_path.iterdir()) == []


async def test_nonsense_ends_the_conversation_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "control"
    control = control_of(Memory(1000), folder)
    await control.start()
    (path,) = folder.iterdir()

    for nonsense in (b"nonsense\n", b"x" * 100_000 + b"\n"):
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(nonsense)
        assert await reader.read() == b""
        writer.close()
    listed = await asked(folder, {"list": True})
    await control.stop()

    assert listed[0]["entries"] == []


def test_default_folder_is_the_users_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))

    assert default_folder() == tmp_path / "headstart" / "cache"


@pytest.mark.parametrize("variable", ["XDG_RUNTIME_DIR", "TMPDIR"])
async def test_default_folder_is_one_that_h2c_takes_and_nobody_else_may_enter(
    variable: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    recwarn: pytest.WarningsRecorder,
) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setenv(variable, str(tmp_path))
    control = Control(Memory(1000), (), lambda _key: 0, "", lambda: 10.0)
    before = os.umask(0o022)
    try:
        await control.start()
    finally:
        os.umask(before)

    listed = await asked(default_folder(), {"list": True})
    await control.stop()

    assert len(listed) == 1
    assert find_place().folder == str(default_folder().parent)
    assert not recwarn.list


async def test_response_on_its_way_is_purged_too(tmp_path: Path) -> None:
    given_up: list[Key] = []
    key = request_of("/css/a.css").key

    def purge(purged: Key) -> int:
        given_up.append(purged)
        return 0

    control = Control(Memory(1000), [key], purge, str(tmp_path / "control"), lambda: 10.0)
    await control.start()

    await asked(tmp_path / "control", {"purge": "/css/*"})
    await control.stop()

    assert given_up == [key]


@pytest.mark.parametrize(
    ("target", "shown", "patterns"),
    [
        ("/a%20b?c=%C3%A9", "/a%20b?c=%C3%A9", ["/a%20b?c=%C3%A9", "/a b?c=é"]),
        ("/\x9b31m\x1b[31m", "/%9B31m%1B[31m", ["/%9B31m%1B[31m", "/%9B*"]),
    ],
)
def test_url_is_printable_and_purged_as_it_is_shown(
    target: str, shown: str, patterns: list[str]
) -> None:
    key = (*request_of("/").key[:2], target.encode("latin-1"), b"")

    assert url_of(key) == f"https://site.example{shown}"
    assert all(matches(key, pattern) for pattern in patterns)


def listening(path: Path, says: bytes | None) -> threading.Thread:
    """Answer one question with these bytes, or with nothing before the client gives up."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def serve() -> None:
        with listener, listener.accept()[0] as client:
            client.recv(1000)
            if says is None:
                client.recv(1000)
            else:
                client.sendall(says)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize(
    ("says", "why"),
    [(None, "no answer within"), (b"nonsense\n", "Expecting value"), (b"[]\n", "not an object")],
)
def test_worker_that_does_not_answer_is_told_once_the_others_were_asked(
    says: bytes | None, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_module, "_SECONDS", 0.1)
    threads = [listening(tmp_path / "1.sock", says), listening(tmp_path / "2.sock", b"{}\n")]
    threads.append(listening(tmp_path / "3.sock", b""))
    answers: list[dict[str, Any]] = []

    with pytest.raises(ConfigurationError, match=why) as caught:
        answers.extend(ask(tmp_path, {"list": True}))
    for thread in threads:
        thread.join(90)

    assert answers == [{"worker": "2"}]
    assert "1.sock" in str(caught.value)
    assert "others were asked" in caught.value.hint
