"""The browser, the certificate and the table at the end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from playwright.sync_api import Browser

from sites.browser import browser
from sites.visits import Measured, measured_sites
from tests.peers import peer


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder that sites and certificates are made in."""
    return tmp_path_factory.mktemp("sites")


@pytest.fixture(scope="session")
def certificate(folder: Path) -> tuple[Path, Path]:
    """Return a certificate for localhost and its key."""
    issued = trustme.CA().issue_cert("localhost")
    chain, key = folder / "cert.pem", folder / "key.pem"
    chain.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    issued.private_key_pem.write_to_path(str(key))
    return chain, key


@pytest.fixture(scope="session")
def chromium(certificate: tuple[Path, Path]) -> Iterator[Browser]:
    """Start Debian's Chromium once; each load gets a profile of its own."""
    with browser(peer("chromium"), certificate[0]) as started:
        yield started


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the loads of each site, and the median of their ratios, with intervals of 95 %."""
    if not measured_sites:
        return
    terminalreporter.section("load event, medians in milliseconds")
    terminalreporter.write_line(Measured.heading())
    for measured in measured_sites:
        terminalreporter.write_line(measured.row())
    terminalreporter.write_line(f"median of the ratios: {Measured.median_ratio()}")
