"""Starting the background process."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from headstart.h2c import exits
from headstart.h2c.command import launch
from headstart.h2c.daemon import claim
from headstart.h2c.sockets import Place
from headstart.h2c.streams import Failed

Says = Callable[[str], None]


@pytest.fixture
def says(monkeypatch: pytest.MonkeyPatch) -> Says:
    """Has the next process that is started say this, and end."""

    def prepare(word: str) -> None:
        def start(program: list[str], **settings: Any) -> None:
            assert settings["start_new_session"]
            os.write(settings["pass_fds"][0], word.encode())

        monkeypatch.setattr(subprocess, "Popen", start)

    return prepare


def test_a_process_that_is_ready_is_connected_to(place: Place, says: Says) -> None:
    claimed = claim.claim(place)
    says("ready")

    launch.background(place).close()
    launch.detached(place, [])
    claimed.release()


def test_where_another_command_was_quicker_its_process_is_used(place: Place, says: Says) -> None:
    claimed = claim.claim(place)
    says("busy 12")

    launch.background(place).close()
    claimed.release()


def test_start_is_told_that_there_is_one(place: Place, says: Says) -> None:
    says("busy 12")

    with pytest.raises(Failed, match=r"already \(pid 12\)"):
        launch.detached(place, [])


@pytest.mark.parametrize(
    ("said", "told"), [("the disk is full", "the disk is full"), ("", "at once")]
)
def test_a_process_that_does_not_start_is_told(
    said: str, told: str, place: Place, says: Says
) -> None:
    says(said)

    with pytest.raises(Failed, match=rf"did not start: .*{told}; its log is") as caught:
        launch.background(place)
    assert caught.value.code == exits.NOT_CONNECTED


def test_a_process_that_never_answers_is_given_up_on(
    place: Place, says: Says, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "PATIENCE", 0.05)
    says("ready")

    with pytest.raises(Failed, match="it does not answer"):
        launch.background(place)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, partial(os.symlink, "elsewhere")])
def test_a_log_that_is_no_file_is_told(place: Place, make: Callable[[str], None]) -> None:
    make(place.log)

    with pytest.raises(Failed, match="its log cannot be written") as caught:
        launch.background(place)

    assert caught.value.code == exits.NOT_CONNECTED
    assert not os.path.exists("elsewhere")


def test_the_log_is_for_this_user_alone(place: Place, says: Says) -> None:
    says("ready")

    launch.detached(place, [])

    assert os.stat(place.log).st_mode & 0o777 == 0o600
