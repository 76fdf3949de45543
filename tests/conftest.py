"""What every test gets: its own data folder, Ctrl-C, a count of what was skipped for want of peers.

Also which tests `make test` leaves to `make test-all` (`--quick`), and how files go to the
processes that run tests side by side.

Changes the environment of the whole run: HEADSTART_DATA points into a temporary folder, so that no
test reads or writes the user's development CA, and RES_OPTIONS ends look-ups of unknown names after
a second, where the name service does not answer at once. A shell starts what runs in the background
with Ctrl-C ignored, and so would be every program that a test starts and interrupts.
"""

from __future__ import annotations

import asyncio
import gc
import os
import pwd
import resource
import signal
import socket
from asyncio.selector_events import BaseSelectorEventLoop
from collections.abc import Generator, Iterator
from functools import cache
from logging import getLogger
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests import peers
from tests.peers import SKIP_PREFIX

_OPEN_FILES = 4096
_LOGGERS = ("", "uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi", "headstart")
_TESTS = Path(__file__).parent
# What `--quick` leaves out by its place: benchmarks, real servers, random peers, the built package.
# Tests that call `tests.peers.peer` or start a server of several processes leave themselves out.
# Those that are marked slow, or measure a cost, are left out, too.
_LEFT_TO_ALL = ("bench", "fuzzing", "servers", "test_package.py")
# Files that take longest, so that none of them is begun when all others are done.
_LONGEST = (
    "fuzzing/test_http2.py",
    "h2c/command/test_init.py",
    "servers/test_h2c.py",
    "h2c/test_rows.py",
    "fuzzing/test_transcripts.py",
    "cli/test_map.py",
    "servers/test_large.py",
    "bench/test_soak.py",
    "server/test_attacks.py",
)


@pytest.fixture(autouse=True, scope="session")
def _environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADSTART_DATA", str(tmp_path_factory.mktemp("headstart-data")))
        patch.setenv("RES_OPTIONS", "timeout:1 attempts:1")
        yield


@pytest.fixture(autouse=True, scope="session")
def _closed_servers_keep_no_connection() -> Iterator[None]:
    """Close a connection that asyncio accepts in the very turn in which its server is closed.

    asyncio asserts then that the server is open, and forgets the socket (python/cpython#109564).
    Its warning would fail whichever test runs when the socket is collected.
    """
    # No public method lies between the accepted socket and its transport.
    attach = BaseSelectorEventLoop._accept_connection2  # type: ignore[attr-defined]

    async def attach_unless_closed(
        loop: asyncio.AbstractEventLoop,
        protocol_factory: Any,
        connection: socket.socket,
        extra: Any,
        sslcontext: Any = None,
        server: asyncio.Server | None = None,
        *timeouts: Any,
    ) -> None:
        if server is not None and not server.is_serving():
            connection.close()
            return
        await attach(loop, protocol_factory, connection, extra, sslcontext, server, *timeouts)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BaseSelectorEventLoop, "_accept_connection2", attach_unless_closed)
        yield


@pytest.fixture(autouse=True, scope="module")
def _loggers_as_before() -> Iterator[None]:
    """Undo log settings, which a server or a framework in the tests' process makes for good."""
    before = [
        (logger, logger.level, logger.handlers[:], logger.propagate)
        for logger in map(getLogger, _LOGGERS)
    ]
    yield
    for logger, level, handlers, propagate in before:
        logger.setLevel(level)
        logger.handlers, logger.propagate = handlers, propagate


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make this process one of a user without an entry in the password database, and without HOME.

    As in a container that runs with a user id of its own.
    """

    def unknown(uid: int) -> None:
        raise KeyError(uid)

    for name in ("HEADSTART_DATA", "HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option of `make test`."""
    parser.addoption(
        "--quick",
        action="store_true",
        help="leave out benchmarks, random peers, whatever needs a peer, and what takes long",
    )


@pytest.hookimpl(wrapper=True)
def pytest_xdist_make_scheduler(config: pytest.Config) -> Generator[None, Any, Any]:
    """Give all files that start Chromium or Firefox to the same process.

    A browser is a dozen processes, which want more cores than there are; with two or three of them
    at once, everybody is late.
    """
    scheduler = yield
    if config.getoption("dist") == "loadfile":
        scheduler._split_scope = _share_of
    return scheduler


def _share_of(nodeid: str) -> str:
    """Return the name of what one process runs: a file, or all that start a browser."""
    file = nodeid.partition("::")[0]
    return "browsers" if _starts_browser(_TESTS.parent / file) else file


@cache
def _starts_browser(file: Path) -> bool:
    text = file.read_text(encoding="utf-8")
    return 'peer("chromium")' in text or 'peer("firefox-esr")' in text


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Return how many processes run tests with `-n auto`: more than cores, since tests wait.

    Those of `--quick` wait for two fifths of the time. The others start browsers and loads, which
    want the cores for themselves.
    """
    cores = os.cpu_count() or 1
    return 2 * cores + 1 if config.getoption("quick") else cores + 1


def pytest_configure(config: pytest.Config) -> None:
    """Say what is wrong before anything is collected, and be patient with slow machines.

    Some tests are a thousand clients, and an ordinary user often has 1,024 open files at first.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= soft < _OPEN_FILES:
        most = hard if 0 <= hard < _OPEN_FILES else _OPEN_FILES
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    from tests.fuzzing import profile

    peers.left_out = config.getoption("quick")
    assert profile.WANTED >= 0
    # An example that takes long, or is long in the making, is no failure.
    settings.register_profile(
        "patient", deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.load_profile("patient")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not even import what `--quick` leaves out by its place."""
    if not config.getoption("quick") or _TESTS not in collection_path.parents:
        return None
    return collection_path.relative_to(_TESTS).parts[0] in _LEFT_TO_ALL or None


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Let each process that runs tests begin at another file.

    The first to import a file rewrites its assertions, which takes twice as long as all the rest of
    collecting, and keeps the result for the others.
    """
    report = yield
    if collector.path == _TESTS:
        name, count = os.environ.get("PYTEST_XDIST_WORKER", "gw0"), len(report.result)
        workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
        first = int(name.removeprefix("gw")) * count // workers
        report.result[:] = report.result[first:] + report.result[:first]
    return report


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, Any, Any]:
    """Let no collection of garbage look through ten thousand tests, now or while they run.

    It would do so some hundred times, which takes longer than all the rest of collecting tests.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave what takes minutes to CI, and begin with what takes longest."""
    if config.getoption("quick"):
        kept: list[pytest.Item] = []
        left_out: list[pytest.Item] = []
        for item in items:
            is_left = "slow" in item.keywords or "cost" in item.keywords
            (left_out if is_left else kept).append(item)
        config.hook.pytest_deselected(items=left_out)
        items[:] = kept
    if os.environ.get("PYTEST_XDIST_WORKER"):
        # All processes must agree on the order.
        items.sort(key=lambda item: (_rank(item.path), item.nodeid.partition("::")[0]))
    if not os.environ.get("CI"):
        for item in items:
            if "slow" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="slow: runs in CI, or with CI=1"))


@cache
def _rank(path: Path) -> int:
    name = path.relative_to(_TESTS).as_posix()
    if name in _LONGEST:
        return _LONGEST.index(name)
    # All of these are one task.
    return 0 if _starts_browser(path) else len(_LONGEST)


def _missing_peer(report: pytest.TestReport) -> str | None:
    """The name of the peer that a skipped test missed."""
    if not isinstance(report.longrepr, tuple):
        return None
    reason = report.longrepr[2].removeprefix("Skipped: ")
    return reason.removeprefix(SKIP_PREFIX).split()[0] if reason.startswith(SKIP_PREFIX) else None


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say how many tests did not run because a peer is not installed, and which."""
    missed = [_missing_peer(report) for report in terminalreporter.getreports("skipped")]
    names = [name for name in missed if name]
    if config.getoption("quick"):
        terminalreporter.write_line(
            f"{len(names)} tests that need a peer, or a server of several processes, were left to "
            "`make test-all`, and so were benchmarks, real servers, random peers, the built "
            "package, what measures a cost and what takes minutes."
        )
    elif names:
        distinct = ", ".join(sorted(set(names)))
        terminalreporter.write_line(
            f"{len(names)} tests skipped for want of a peer, not installed: {distinct}. "
            "On Debian, `make peers` installs them.",
            yellow=True,
        )
