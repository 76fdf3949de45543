"""Tests of headstart.replay.live_process: a long log is played in a second process."""

from __future__ import annotations

import asyncio
import fcntl
import io
import marshal
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from headstart.config import DeliverOptions
from headstart.learn import LearnOptions
from headstart.learn.logs import LogLine
from headstart.replay import Assumptions, Mode, Score, live_process
from headstart.replay.live import Live
from headstart.replay.live_process import Arguments, ReplayProcessError, main, play
from headstart.replay.loads import Step
from tests.replay.test_live import odd_log, visit
from tests.replay.test_loads import steps
from tests.replay.test_rivals import line
from tests.server.live import PATIENCE, until

DEFAULTS: Arguments = (Mode.HINT, None, None, None)


def log() -> list[LogLine]:
    """Return a log with all kinds of lines."""
    found = [*odd_log()]
    end = found[-1].time
    found += visit(end + 20.0, 7, "/a.css", path="/feed/")
    found.append(line(end + 40.0, "/", method="POST"))
    return found


def here(arguments: Arguments) -> Score:
    """Return the score of a log that is played in this process."""
    return asyncio.run(Live(*arguments).play(steps(*log())))


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each log be played in a second process."""
    monkeypatch.setattr(live_process, "LONG", 1)
    monkeypatch.setattr(live_process, "_cores", lambda: 2)


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize(
    "arguments",
    [
        DEFAULTS,
        (Mode.PUSH, LearnOptions(likely=0.6), DeliverOptions(max_assets=3), Assumptions(idle=9.0)),
    ],
)
def test_second_process_finds_the_same_score(arguments: Arguments) -> None:
    score = play(arguments, iter(steps(*log())))

    assert score == here(arguments)
    assert score.sent > 0


@pytest.mark.parametrize(("long", "cores"), [(1, 1), (10**6, 2)])
def test_short_log_or_one_core_needs_no_second_process(
    monkeypatch: pytest.MonkeyPatch, long: int, cores: int
) -> None:
    monkeypatch.setattr(live_process, "LONG", long)
    monkeypatch.setattr(live_process, "_cores", lambda: cores)
    monkeypatch.delattr(subprocess, "Popen")

    assert play(DEFAULTS, iter(steps(*log()))) == here(DEFAULTS)


@pytest.mark.usefixtures("always")
def test_log_is_played_in_one_process_where_no_second_one_can_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))

    assert play(DEFAULTS, iter(steps(*log()))) == here(DEFAULTS)


@pytest.mark.usefixtures("always")
def test_pipe_to_the_second_process_is_as_the_system_makes_it_where_none_can_grow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(fcntl, "F_SETPIPE_SZ", raising=False)

    assert play(DEFAULTS, iter(steps(*log()))) == here(DEFAULTS)


def test_cores_are_those_that_this_process_may_use() -> None:
    found = subprocess.run(
        [sys.executable, "-c", f"""
import os
from headstart.replay.live_process import _cores
os.sched_setaffinity(0, {{{min(os.sched_getaffinity(0))}}})
print(_cores())"""],
        capture_output=True,
        check=True,
    )  # fmt: skip

    assert found.stdout == b"1\n"


def _child() -> int:
    """Return the only child of this process that plays a log."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        pid = path.parent.name
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
            command = (path.parent / "cmdline").read_bytes()
        except OSError:  # it has ended meanwhile
            continue
        if parent == os.getpid() and b"headstart.replay.live_process" in command:
            return int(pid)
    return 0


@pytest.mark.usefixtures("always")
def test_killed_process_is_an_error_and_no_score() -> None:
    def killing() -> Iterator[Step]:
        for number, step in enumerate(steps(*log())):
            if number == 300:
                os.kill(_child(), signal.SIGKILL)
            yield step

    with pytest.raises(ReplayProcessError, match="has ended before the log"):
        play(DEFAULTS, killing())


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("error", [KeyboardInterrupt, BrokenPipeError])
def test_process_ends_where_reading_the_log_fails(error: type[BaseException]) -> None:
    children = []

    def failing() -> Iterator[Step]:
        for number, step in enumerate(steps(*log())):
            if number == 300:
                children.append(_child())
                raise error
            yield step

    with pytest.raises(error):
        play(DEFAULTS, failing())

    assert children[0] > 0
    assert _child() == 0


def test_process_ends_quietly_when_the_first_one_is_gone() -> None:
    nine = live_process._LENGTH.pack(9)
    for written in (b"", nine[:2], nine, nine + b"half"):
        back = io.BytesIO()

        with pytest.raises(SystemExit):
            main(io.BytesIO(written), back)

        assert back.getvalue() == b""


def _second_process_after(written: bytes, back: int) -> tuple[int, bytes]:
    """Return the exit code and the errors of a second process whose first one ended then."""
    ended = subprocess.run(
        [sys.executable, "-m", "headstart.replay.live_process"],
        input=written,
        stdout=back,
        stderr=subprocess.PIPE,
        timeout=PATIENCE,
        check=False,
    )
    return ended.returncode, ended.stderr


def test_end_of_the_first_process_within_a_batch_or_before_the_score_shows_no_traceback() -> None:
    whole = io.BytesIO()
    live_process._write(whole, pickle.dumps(DEFAULTS))
    live_process._write(whole, marshal.dumps([live_process._packed(one) for one in steps(*log())]))
    within = whole.getvalue()[:-100]
    live_process._write(whole, b"")
    read, back = os.pipe()
    os.close(read)

    try:
        assert _second_process_after(within, back) == (1, b"")
        assert _second_process_after(whole.getvalue(), back) == (1, b"")
    finally:
        os.close(back)


def test_process_plays_what_it_is_sent() -> None:
    source, back = io.BytesIO(), io.BytesIO()
    live_process._write(source, pickle.dumps(DEFAULTS))
    for step in steps(*log()):
        live_process._write(source, marshal.dumps([live_process._packed(step)]))
    live_process._write(source, b"")
    source.seek(0)

    main(source, back)

    assert pickle.loads(back.getvalue()) == here(DEFAULTS)


def test_ctrl_c_in_a_long_log_ends_both_processes_quietly(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    end = 'GET / HTTP/1.1" 200 9 "-" "Chrome"'
    lines = [
        f'192.0.2.1 - - [10/Oct/2025:{n // 3600:02}:{n // 60 % 60:02}:{n % 60:02} +0000] "{end}\n'
        for n in range(16_000)
    ]
    command = [sys.executable, "-m", "headstart", "replay", str(pipe)]
    with (
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, process_group=0
        ) as process,
        pipe.open("w") as writer,
    ):
        writer.writelines(lines)
        writer.flush()
        until(lambda: _plays(process.pid), "the second process")
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)

    assert (process.returncode, out, err) == (130, b"", b"")


def _plays(pid: int) -> bool:
    """Return true if a process has started a second one that plays its log."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    commands = [Path(f"/proc/{child}/cmdline").read_bytes() for child in children]
    return any(b"headstart.replay.live_process" in command for command in commands)
