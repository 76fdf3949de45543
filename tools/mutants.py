"""Put one fault at a time into the functions that `[tool.mutmut]` names, and print what survives.

A fault is a mutant: one function with one small change, made by mutmut. mutmut can run mutants as
well, with the tests that reach the function. It collects all tests anew for each mutant and runs
them in no order, which takes days for ten thousand mutants. Here the tests are collected once. Each
mutant gets a forked child, which runs the tests that reach the changed line until one fails: first
those that noticed most faults so far, then the quickest. Four children for each core run side by
side, since a fault often makes a test wait for bytes that never come.

Called by `make mutants`, which has installed mutmut. Arguments are patterns of mutants' names
(`headstart.wire.fields.*`). Without any, all mutants are tried that have no result; with some,
those that survived before are tried as well. With `--sample 1000`, so many are drawn by lot, the
same ones for the same `--seed`, and the score of all is estimated from them.

Results are kept in mutants/ beside each module, where `mutmut show NAME` finds them. A run that was
interrupted goes on where it stopped, and the mutants of a function that has changed have no result.

Reads:   pyproject.toml, src/, tests/
Changes: mutants/
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import fnmatch
import math
import os
import random
import resource
import shutil
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from multiprocessing import Pipe
from pathlib import Path

import coverage
import pytest
from mutmut.__main__ import create_mutants
from mutmut.configuration import config
from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.trampoline import set_mutant_under_test
from mutmut.utils.file_utils import (
    copy_also_copy_files,
    copy_src_dir,
    setup_source_paths,
    walk_mutatable_files,
)

ROOT = Path(__file__).parents[1]

# mutmut's own: pytest's statuses, 33 where no test reaches the line, and the signal of a child that
# took too long.
SURVIVED, KILLED, UNREACHED = 0, 1, 33
# Seconds that a child has beside ten times what its tests take without a fault.
PATIENCE = 10
CHILDREN = 4 * (os.cpu_count() or 1)

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass
class Mutant:
    """One fault: its name, the file of its module below mutants/, and the changed lines there."""

    name: str
    path: Path
    lines: range
    tests: list[str] = field(default_factory=list)


@dataclass
class Child:
    """A process that runs the tests of one mutant."""

    mutant: Mutant
    folder: str
    until: float


class Runner:
    """A plugin of pytest that runs the tests of each mutant instead of all tests once."""

    def __init__(self, results: dict[str, SourceFileMutationData], wanted: set[str]) -> None:
        self.results = results
        self.wanted = wanted
        self.items: dict[str, pytest.Item] = {}
        self.took: dict[str, float] = {}
        self.noticed: Counter[str] = Counter()

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Try each mutant, in children of this process, which itself runs no test.

        What caches hold after a test would hide faults.
        """
        self.items = {item.nodeid: item for item in session.items}
        reached = self.measured(session)
        mutants = []
        for path in {Path(data.path) for data in self.results.values()}:
            mutants += [each for each in mutants_of(path) if each.name in self.wanted]
        for mutant in mutants:
            hits = (reached[str(mutant.path.resolve()), line] for line in mutant.lines)
            mutant.tests = list(set().union(*hits))
        # Those that survived before come last; the others begin with the quickest, so that an
        # interrupted run has tried most.
        mutants.sort(key=lambda each: (self.is_tried(each), self.duration(each.tests)))
        self.try_all(session, mutants)
        return True

    def is_tried(self, mutant: Mutant) -> bool:
        """Return true if the mutant has a result from an earlier run."""
        return self.results[mutant.name].exit_code_by_key[mutant.name] is not None

    def duration(self, tests: Iterable[str]) -> float:
        """Return how many seconds the tests take without a fault."""
        return sum(self.took[test] for test in tests)

    def measured(self, session: pytest.Session) -> dict[tuple[str, int], set[str]]:
        """Run all tests once, without a fault; return those that reach each line."""
        receiver, sender = Pipe(duplex=False)
        pid = os.fork()
        if not pid:
            sender.send(measure(session))
            os._exit(0)
        sender.close()
        failed, self.took, reached = receiver.recv()
        os.waitpid(pid, 0)
        if failed:
            # pytest has no terminal here, so the reason of an exit would not be shown.
            print("These fail without a fault:", *failed, sep="\n", flush=True)
            pytest.exit("tests fail without a fault", returncode=1)
        print(f"\n{len(self.items)} tests pass without a fault", flush=True)
        return defaultdict(set, reached)

    def try_all(self, session: pytest.Session, mutants: list[Mutant]) -> None:
        """Try mutants side by side, and keep each result."""
        waiting = iter(mutants)
        running: dict[int, Child] = {}
        tried = 0
        print(f"{len(mutants)} mutants to try", flush=True)
        while True:
            while len(running) < CHILDREN and (mutant := next(waiting, None)):
                if mutant.tests:
                    running.update([self.begun(session, mutant)])
                else:
                    self.keep(mutant, UNREACHED)
            if not running:
                return
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                kill_late(running)
                time.sleep(0.01)
            elif child := running.pop(pid, None):
                with contextlib.suppress(OSError):
                    self.noticed[Path(child.folder, "noticed").read_text()] += 1
                shutil.rmtree(child.folder, ignore_errors=True)
                self.keep(child.mutant, os.waitstatus_to_exitcode(status))
                tried += 1
                if tried % 100 == 0:
                    print(f"{tried} tried", flush=True)

    def begun(self, session: pytest.Session, mutant: Mutant) -> tuple[int, Child]:
        """Start a child that tries the mutant."""
        patience = PATIENCE + 10 * self.duration(mutant.tests)
        folder = tempfile.mkdtemp()
        tests = sorted(mutant.tests, key=lambda test: (-self.noticed[test], self.took[test]))
        pid = os.fork()
        if not pid:
            used = resource.getrusage(resource.RUSAGE_SELF)
            seconds = math.ceil(used.ru_utime + used.ru_stime + patience)
            resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
            os.environ["PYTEST_DEBUG_TEMPROOT"] = os.environ["TMPDIR"] = tempfile.tempdir = folder
            set_mutant_under_test(mutant.name)
            for failed in run(session, [self.items[test] for test in tests]):
                Path(folder, "noticed").write_text(failed)
                os._exit(KILLED)
            os._exit(SURVIVED)
        return pid, Child(mutant, folder, time.monotonic() + 3 * patience)

    def keep(self, mutant: Mutant, ended: int) -> None:
        """Write down how a mutant ended."""
        data = self.results[mutant.name]
        data.exit_code_by_key[mutant.name] = ended
        data.save()


def kill_late(running: dict[int, Child]) -> None:
    """End children that wait too long; the limit of processor time holds the others."""
    for pid, child in running.items():
        if time.monotonic() > child.until:
            os.kill(pid, 9)


def run(session: pytest.Session, items: list[pytest.Item]) -> Iterator[str]:
    """Run tests, without their output; yield the names of those that fail."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nothing, stream)
    for item, after in zip(items, [*items[1:], None], strict=True):
        before = session.testsfailed
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
        if session.testsfailed > before:
            yield item.nodeid


def measure(
    session: pytest.Session,
) -> tuple[list[str], dict[str, float], dict[tuple[str, int], set[str]]]:
    """Return which tests fail, how many seconds each takes, and which reach each line of src/."""
    watch = coverage.Coverage(data_file=None, config_file=False, source=["src"])
    took: dict[str, float] = {}
    failed: list[str] = []
    watch.start()
    for item in session.items:
        watch.switch_context(item.nodeid)
        began = time.monotonic()
        failed += run(session, [item])
        took[item.nodeid] = time.monotonic() - began
    watch.stop()
    data = watch.get_data()
    reached = {}
    for path in data.measured_files():
        for line, tests in data.contexts_by_lineno(path).items():
            reached[path, line] = set(tests) & took.keys()
    return failed, took, reached


def mutants_of(path: Path) -> Iterator[Mutant]:
    """Yield the mutants of a module, with the lines of the original function that they change."""
    text = path.read_text()
    source = text.splitlines()
    functions = [each for each in ast.walk(ast.parse(text)) if isinstance(each, Function)]
    originals = {each.name: each for each in functions if each.name.endswith("__mutmut_orig")}
    module = ".".join(path.with_suffix("").parts[1:]).removesuffix(".__init__")
    for function in functions:
        name, _, number = function.name.rpartition("__mutmut_")
        original = originals.get(f"{name}__mutmut_orig")
        if original is not None and number != "orig":
            yield Mutant(f"{module}.{function.name}", path, changed(source, original, function))


def changed(source: list[str], original: Function, mutant: Function) -> range:
    """Return the lines of the smallest statement of the original that the mutant changes."""
    pairs = zip(
        source[original.lineno : original.end_lineno],
        source[mutant.lineno : mutant.end_lineno],
        strict=False,
    )
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    line = original.lineno + 1 + same
    statements = [each for each in ast.walk(original) if isinstance(each, ast.stmt)]
    spans = [range(each.lineno, (each.end_lineno or each.lineno) + 1) for each in statements]
    # The first is that of the function.
    return min((span for span in spans if line in span), key=len, default=spans[0])


def prepare() -> dict[str, SourceFileMutationData]:
    """Write mutants/ from src/ and tests/; return the results so far by the names of mutants."""
    # Tests, and modules that aren't mutated, as they are now.
    shutil.rmtree("mutants/tests", ignore_errors=True)
    Path("mutants").mkdir(exist_ok=True)
    copy_src_dir()
    copy_also_copy_files()
    create_mutants(os.cpu_count() or 1)
    results = {}
    for path in walk_mutatable_files():
        data = SourceFileMutationData(path=path)
        data.load()
        data.meta_path = data.meta_path.resolve()
        results.update(dict.fromkeys(data.exit_code_by_key, data))
    return results


def verdict(ended: int | None) -> str:
    """Return the column that a mutant's exit status belongs to."""
    columns = {None: "untried", SURVIVED: "survived", UNREACHED: "unreached"}
    return columns.get(ended, "killed")


def report(results: dict[str, SourceFileMutationData]) -> str:
    """Return a table of the modules and rooms, and below it the names of those that survived."""
    lines = [f"{'':32} mutants  killed  survived  unreached  untried  score"]
    modules: dict[str, Counter[str]] = defaultdict(Counter)
    rooms: dict[str, Counter[str]] = defaultdict(Counter)
    alive = []
    for name, data in results.items():
        ended = data.exit_code_by_key[name]
        module = str(Path(data.path).relative_to("src/headstart"))
        modules[module][verdict(ended)] += 1
        rooms[module.partition("/")[0]][verdict(ended)] += 1
        if ended in (SURVIVED, UNREACHED):
            alive.append(name)
    lines += [row(module, counts) for module, counts in sorted(modules.items())]
    lines += ["", *(row(room + "/", counts) for room, counts in sorted(rooms.items()))]
    if alive:
        lines += ["", "Survivors; `.venv/bin/mutmut show NAME` prints the fault:", *alive]
    return "\n".join(lines)


def row(name: str, counts: Counter[str]) -> str:
    """Return one line of the table; the score is the share of those that were tried."""
    tried = counts["killed"] + counts["survived"] + counts["unreached"]
    score = f"{counts['killed'] / tried:6.1%}" if tried else "     -"
    return (
        f"{name:32} {counts.total():7} {counts['killed']:7} {counts['survived']:9}"
        f" {counts['unreached']:10} {counts['untried']:8} {score}"
    )


def estimate(results: dict[str, SourceFileMutationData], sample: Sequence[str]) -> str:
    """Return the share of a sample that was noticed, with an interval of 95 % (Wilson's)."""
    verdicts = Counter(verdict(results[name].exit_code_by_key[name]) for name in sample)
    tried = len(sample) - verdicts["untried"]
    if not tried:
        return "Nothing of the sample was tried."
    share, z = verdicts["killed"] / tried, 1.96
    middle = (share + z * z / (2 * tried)) / (1 + z * z / tried)
    half = math.sqrt(share * (1 - share) / tried + z * z / (4 * tried * tried))
    half *= z / (1 + z * z / tried)
    return (
        f"The sample: {verdicts['killed']} of {tried} noticed, {share:.1%} (95 % interval"
        f" {middle - half:.1%} to {middle + half:.1%}); {verdicts['survived']} survived,"
        f" {verdicts['unreached']} unreached"
    )


def drawn(names: Iterable[str], size: int, seed: int) -> list[str]:
    """Return so many of the names, or all; the same ones for the same seed."""
    ordered = sorted(names)
    return sorted(random.Random(seed).sample(ordered, min(size, len(ordered))))


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the arguments of the command line."""
    parser = argparse.ArgumentParser(
        prog="make mutants", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("patterns", nargs="*", metavar="PATTERN", help="names of mutants")
    parser.add_argument("--sample", type=int, metavar="N", help="try so many, drawn by lot")
    parser.add_argument("--seed", type=int, default=1, help="of the draw (default: 1)")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    """Return pytest's status: survivors are reported and are no failure."""
    given = parsed(arguments)
    os.chdir(ROOT)
    set_mutant_under_test("mutant_generation")
    results = prepare()
    named = [
        name
        for name in results
        if any(fnmatch.fnmatch(name, pattern) for pattern in given.patterns or ["*"])
    ]
    if given.sample is not None:
        named = drawn(named, given.sample, given.seed)
    alive = (None, SURVIVED, UNREACHED) if given.patterns else (None,)
    wanted = {name for name in named if results[name].exit_code_by_key[name] in alive}
    setup_source_paths()
    set_mutant_under_test("")
    chosen = config()
    options = [*chosen.pytest_add_cli_args, *chosen.pytest_add_cli_args_test_selection]
    os.chdir("mutants")
    try:
        return int(
            pytest.main(
                ["--rootdir=.", "-p", "no:terminal", *options], plugins=[Runner(results, wanted)]
            )
        )
    finally:
        os.chdir(ROOT)
        print(report(results))
        if given.sample is not None:
            print(f"\n{estimate(results, named)}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
