"""An upstream's own 103 through `headstart proxy`: at once, and one with what was learned.

Node sends the 103 with `writeEarlyHints`; curl and Chromium read it.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.clients.chromium import chromium
from tests.peers import peer
from tests.server.live import PATIENCE, ServerProcess, certificate

# Of a browser's navigation; others get no 103.
_NAVIGATION = {
    "accept": "text/html",
    "sec-fetch-dest": "document",
    "sec-fetch-mode": "navigate",
    "user-agent": "Mozilla/5.0 Chrome/140.0",
}
_BOTH = ["/script.js", "/style.css"]


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    """Node, and its URL."""
    script = Path(__file__).with_name("hinting.mjs")
    process = subprocess.Popen(
        [peer("node"), str(script)], stdout=subprocess.PIPE, text=True, bufsize=1
    )
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.communicate()


@contextmanager
def proxied(site: str, folder: Path) -> Iterator[ServerProcess]:
    """Run `headstart proxy` over TLS; it learns, and asks the site for everything."""
    made = certificate()
    proxy = ServerProcess(
        *("proxy", site, "--port", "0", "--cache", "0", "--learn-control-share", "0"),
        *("--ssl-certfile", str(made.certfile), "--ssl-keyfile", str(made.keyfile)),
        *("--store", str(folder / "learned.sqlite3")),
    )
    try:
        proxy.wait_until_started()
        yield proxy
    finally:
        proxy.end()


def asked(site: str) -> list[str]:
    """What the site was asked for since the last time."""
    found: list[str] = json.loads(httpx.get(f"{site}/asked", timeout=PATIENCE).text)
    return found


def test_103_of_the_upstream_goes_through_before_its_response(site: str, tmp_path: Path) -> None:
    fields = [part for name, value in _NAVIGATION.items() for part in ("-H", f"{name}: {value}")]
    with proxied(site, tmp_path) as proxy:
        url = f"https://localhost:{proxy.port}"
        command = [peer("curl"), "-svk", "--http2", *fields, f"{url}/held"]
        client = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert client.stderr is not None
        seen = []
        for line in client.stderr:
            seen.append(line.strip())
            if seen[-1].startswith("< link:"):
                break
        before = asked(site)
        httpx.get(f"{site}/style.css", timeout=PATIENCE)  # now the site answers
        page, rest = client.communicate(timeout=PATIENCE)

    assert before == ["/held"]
    assert "< HTTP/2 103" in seen
    assert seen[-1] == "< link: </style.css>; rel=preload; as=style"
    assert "< HTTP/2 200" not in seen
    assert "< HTTP/2 200" in rest
    assert "< HTTP/2 103" not in rest
    assert "< link:" not in rest
    assert "/script.js" in page


def test_chromium_gets_one_103_with_the_upstreams_link_and_what_was_learned(
    site: str, tmp_path: Path
) -> None:
    with (
        proxied(site, tmp_path) as proxy,
        chromium(peer("chromium")) as browser,
    ):
        asked(site)
        deadline = time.monotonic() + PATIENCE
        hinted: list[str] = []
        while hinted != _BOTH and time.monotonic() < deadline:
            load = browser.load(f"https://localhost:{proxy.port}/")
            hinted = sorted(link.target for link in load.hinted)
            fetched = sorted(asked(site))

            assert fetched == ["/", *_BOTH]  # each once, hinted or not
            assert hinted in ([], ["/style.css"], _BOTH)
            assert load.linked == []

    assert hinted == _BOTH
    assert load.console == []
