"""Which core is whose."""

from __future__ import annotations

import os

import pytest

from bench.cores import CORES, Cores, of_this_machine, on, parse_list, split


@pytest.mark.parametrize(
    ("usable", "siblings", "expected"),
    [
        ({0}, {0}, Cores()),
        ({0, 1}, {1}, Cores(frozenset({1}), frozenset({0}))),
        ({0, 1, 2, 3}, {2, 3}, Cores(frozenset({3}), frozenset({0, 1}))),
        # Two threads of one core are better than sharing one of them.
        ({2, 3}, {2, 3}, Cores(frozenset({3}), frozenset({2}))),
        ({1, 5}, set(), Cores(frozenset({5}), frozenset({1}))),
    ],
)
def test_server_has_one_core_whose_other_thread_stays_idle(
    usable: set[int], siblings: set[int], expected: Cores
) -> None:
    assert split(frozenset(usable), frozenset(siblings)) == expected


@pytest.mark.parametrize(
    ("text", "expected"), [("", set()), ("3\n", {3}), ("0,2-4\n", {0, 2, 3, 4})]
)
def test_lists_of_the_kernel_are_read(text: str, expected: set[int]) -> None:
    assert parse_list(text) == expected


def test_cores_are_told_in_words() -> None:
    assert str(Cores(frozenset({1}), frozenset({0, 2}))) == "server on core 1, load on 0, 2"
    assert str(Cores()) == "servers and load share all cores"


def test_process_runs_there_for_a_while_and_then_where_it_was() -> None:
    before = os.sched_getaffinity(0)
    one = frozenset({min(before)})

    with on(one):
        meanwhile = os.sched_getaffinity(0)
        with on(frozenset()):
            assert os.sched_getaffinity(0) == one

    assert meanwhile == one
    assert os.sched_getaffinity(0) == before


def test_machine_without_affinity_pins_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert of_this_machine() == CORES

    monkeypatch.delattr(os, "sched_getaffinity")

    assert of_this_machine() == Cores()
