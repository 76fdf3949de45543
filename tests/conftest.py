"""What every test gets: its own data folder, Ctrl-C, a count of what was skipped for want of peers.

Changes the environment of the whole run: HEADSTART_DATA points into a temporary folder, so that no
test reads or writes the user's development CA. A shell starts what runs in the background with
Ctrl-C ignored, and so would be every program that a test starts and interrupts.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.peers import SKIP_PREFIX


@pytest.fixture(autouse=True, scope="session")
def _own_data_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADSTART_DATA", str(tmp_path_factory.mktemp("headstart-data")))
        yield


def pytest_configure() -> None:
    """Say what is wrong before anything is collected, and be patient with slow machines."""
    from tests.fuzzing import profile

    assert profile.WANTED >= 0
    # An example that takes long, or is long in the making, is no failure.
    settings.register_profile(
        "patient", deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.load_profile("patient")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave what takes minutes to CI."""
    if not os.environ.get("CI"):
        for item in items:
            if "slow" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="slow: runs in CI, or with CI=1"))


def _missing_peer(report: pytest.TestReport) -> str | None:
    """The name of the peer that a skipped test missed."""
    if not isinstance(report.longrepr, tuple):
        return None
    reason = report.longrepr[2].removeprefix("Skipped: ")
    return reason.removeprefix(SKIP_PREFIX).split()[0] if reason.startswith(SKIP_PREFIX) else None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many tests did not run because a peer is not installed, and which."""
    missed = [_missing_peer(report) for report in terminalreporter.getreports("skipped")]
    names = [name for name in missed if name]
    if names:
        distinct = ", ".join(sorted(set(names)))
        terminalreporter.write_line(
            f"{len(names)} tests skipped for want of a peer, not installed: {distinct}", yellow=True
        )
