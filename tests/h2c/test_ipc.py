"""The background process's socket, who may use it, and the frames on it."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.h2c import exits, ipc
from headstart.h2c.daemon.process import claim
from headstart.h2c.ipc import Place, PlaceError
from tests.h2c.room import Room


@pytest.fixture(autouse=True)
def _environment(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(room.runtime))
    monkeypatch.setenv("TMPDIR", str(room.runtime))


def test_the_folder_is_made_for_this_user_alone(room: Room) -> None:
    place = ipc.find_place()

    assert place.folder == str(room.private)
    assert room.private.stat().st_mode & 0o777 == 0o700


def test_without_a_runtime_folder_it_is_one_of_the_user_among_temporary_files(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR")

    assert ipc.find_place().folder == f"{room.runtime}/headstart-{os.getuid()}"


@pytest.mark.parametrize("runtime", ["", "relative", "/nonexistent/folder"])
def test_a_runtime_folder_that_is_not_there_is_not_used(
    runtime: str, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)

    assert ipc.find_place().folder == f"{room.runtime}/headstart-{os.getuid()}"


def test_the_folder_for_temporary_files_is_tmp_by_default(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    monkeypatch.delenv("TMPDIR")
    made: list[str] = []
    monkeypatch.setattr(ipc, "make_private", lambda folder, uid: made.append(folder))

    ipc.find_place()

    assert made == [f"/tmp/headstart-{os.getuid()}"]


def test_a_folder_that_others_may_enter_is_refused(room: Room) -> None:
    room.private.mkdir()
    room.private.chmod(0o750)

    with pytest.raises(PlaceError, match=f"chmod 700 {room.private}"):
        ipc.find_place()


def test_a_folder_of_somebody_else_is_refused(room: Room) -> None:
    room.private.mkdir(mode=0o700)

    with pytest.raises(PlaceError, match=f"belongs to user {os.getuid()}"):
        ipc.make_private(str(room.private), os.getuid() + 1)


def test_a_link_to_a_folder_is_refused(room: Room, tmp_path: Path) -> None:
    room.private.symlink_to(tmp_path)

    with pytest.raises(PlaceError, match="not a folder of its own"):
        ipc.find_place()


def test_a_folder_that_cannot_be_made_is_told(room: Room) -> None:
    with pytest.raises(PlaceError, match="cannot be made: No such file"):
        ipc.make_private(f"{room.runtime}/a/b", os.getuid())


def test_a_path_too_long_for_a_socket_is_told(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    long = room.runtime / ("x" * 100)
    long.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(long))

    with pytest.raises(PlaceError, match="too long for a socket"):
        ipc.find_place()


@pytest.mark.parametrize("name", ["", "../up", "a/b", "a.b", "ä", "x" * 33, "a b"])
def test_a_session_name_is_no_path(name: str) -> None:
    with pytest.raises(PlaceError, match="a session is named") as caught:
        ipc.find_place(name)
    assert caught.value.code == exits.USAGE


def test_sessions_have_files_of_their_own() -> None:
    one, two = Place("/run", "one"), Place("/run", "two_2")

    assert (one.socket, one.lock, one.log) == (
        "/run/one.sock",
        "/run/one.lock",
        "/run/one.log",
    )
    assert two.socket == "/run/two_2.sock"


def test_nobody_is_reached_where_there_is_no_socket(place: Place) -> None:
    assert ipc.reach(place) is None


def test_nobody_is_reached_at_a_stale_socket(place: Place) -> None:
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(place.socket)

    assert ipc.reach(place) is None


def test_a_listening_process_of_this_user_is_reached(place: Place) -> None:
    claimed = claim(place)

    connection = ipc.reach(place)

    assert connection is not None
    assert ipc.peer_uid(connection) == os.getuid()
    connection.close()
    claimed.release()


def test_a_listening_process_of_somebody_else_is_refused(place: Place) -> None:
    claimed = claim(place)

    with pytest.raises(PlaceError, match="belongs to user 4711"):
        ipc.reach(place, uid_of=lambda connection: 4711)
    claimed.release()


def test_something_that_is_no_socket_is_told(place: Place) -> None:
    Path(place.socket).mkdir()

    assert ipc.reach(place) is None or pytest.fail("a folder answered")


@given(st.integers(0, 255), st.binary(max_size=70_000))
def test_a_frame_says_its_kind_and_length(kind: int, payload: bytes) -> None:
    frame = ipc.frame(kind, payload)

    assert ipc.read_header(frame[: ipc.HEADER_SIZE]) == (kind, len(payload))
    assert frame[ipc.HEADER_SIZE :] == payload


def test_no_two_kinds_are_the_same() -> None:
    kinds = [
        ipc.REQUEST,
        ipc.INPUT,
        ipc.READY,
        ipc.OUTPUT,
        ipc.MESSAGE,
        ipc.OPEN_OUTPUT,
        ipc.OPEN_PICTURE,
        ipc.OPEN_INPUT,
        ipc.WANT,
        ipc.EXIT,
        ipc.INTERRUPT,
        ipc.PATIENT,
        ipc.PROGRESS,
        ipc.CLOSE_OUTPUT,
        ipc.HEARD,
    ]

    assert len(set(kinds)) == len(kinds)
