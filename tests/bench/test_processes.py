"""What a session's processes have used."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bench import processes

# A worker under a leader; the worker says so once it has used some time and memory.
BUSY = """
import os, sys, time
if os.fork():
    os.wait()
else:
    held = b"x" * 50_000_000
    until = time.process_time() + 0.2
    while time.process_time() < until: pass
    print("ready", flush=True)
    time.sleep(60)
"""


@contextmanager
def session() -> Iterator[int]:
    with subprocess.Popen(
        [sys.executable, "-S", "-c", BUSY], stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            yield process.pid
        finally:
            os.killpg(process.pid, 9)


def test_workers_time_and_memory_are_counted_with_their_leader_s() -> None:
    with session() as leader:
        count = len(processes.members(leader))
        seconds = processes.processor_seconds(leader)
        resident = processes.resident_bytes(leader)

    assert count == 2
    assert 0.2 <= seconds < 10
    assert 50_000_000 < resident < 500_000_000


def test_session_without_processes_has_used_nothing() -> None:
    with session() as leader:
        (worker,) = set(processes.members(leader)) - {leader}

        # A worker leads no session.
        assert processes.members(worker) == []
        assert processes.processor_seconds(worker) == 0
        assert processes.resident_bytes(worker) == 0


def test_process_that_ends_while_it_is_looked_at_counts_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with session() as leader:
        pass
    monkeypatch.setattr(processes, "members", lambda _session: [leader])

    assert processes.processor_seconds(leader) == 0
    assert processes.resident_bytes(leader) == 0


def test_name_with_a_parenthesis_and_spaces_is_no_trouble() -> None:
    assert processes.session_of("7 (a) b) S 1 2 3 0 -1") == 3
