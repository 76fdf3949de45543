"""One background process a session."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from headstart.h2c.daemon import claim
from headstart.h2c.ipc import Place, PlaceError, reach


def test_the_socket_is_for_this_user_alone(place: Place) -> None:
    claimed = claim.claim(place)

    assert Path(place.socket).stat().st_mode & 0o777 == 0o600
    assert Path(place.lock).stat().st_mode & 0o777 == 0o600
    claimed.release()


def test_a_second_process_is_told_who_the_first_one_is(place: Place) -> None:
    claimed = claim.claim(place)

    with pytest.raises(claim.BusyError, match=f"pid {os.getpid()}"):
        claim.claim(place)
    claimed.release()


def test_a_stale_socket_is_replaced(place: Place) -> None:
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(place.socket)

    claimed = claim.claim(place)

    connection = reach(place)
    assert connection is not None
    connection.close()
    claimed.release()


@pytest.mark.parametrize("file", ["lock", "socket"])
def test_a_folder_that_cannot_be_written_is_told(place: Place, file: str) -> None:
    obstacle = Path(getattr(place, file))
    obstacle.mkdir()

    with pytest.raises(PlaceError, match=r"cannot be written: .*; make room there, or set XDG_"):
        claim.claim(place)

    obstacle.rmdir()
    claim.claim(place).release()


def test_released_places_are_free_and_have_no_socket(place: Place) -> None:
    first = claim.claim(place)
    first.release()
    first.release()

    assert not Path(place.socket).exists()
    second = claim.claim(place)
    second.release()


def test_the_file_mode_mask_is_as_before(place: Place) -> None:
    before = os.umask(0o022)
    try:
        claim.claim(place).release()
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(before)


def test_socket_of_whoever_came_after_the_folder_was_removed_stays(place: Place) -> None:
    first = claim.claim(place)
    os.unlink(place.lock)
    second = claim.claim(place)

    first.release()

    assert os.path.exists(place.socket)
    os.unlink(place.lock)
    second.release()
    os.unlink(place.socket)
