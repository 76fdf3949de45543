"""Headless Chromium loads a page; its own net-log says what was on the wire.

Called by tests/test_chromium.py, which also reads the page. Needs chromium and openssl; no browser
automation, so it works against any server. The page's own resource timing would show when a
resource was used, not when it was fetched, so the net-log is what counts.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import ssl
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
    "--timeout=80000",
)
_PATIENCE = 90.0
_FAILED = re.compile(rb"Page load failed: net::(\w+)")


@dataclass
class Facts:
    """What Chromium sent and received for one load, in the order of its net-log.

    Attributes:
        requested: Paths of the requests over HTTP/2.
        hinted: The Link of each 103 to the page.
        before_final: Paths requested before the page's final HEADERS came.
        settings: The names and values of the SETTINGS that it sent.
        pushes: PUSH_PROMISEs received.
    """

    requested: list[str] = field(default_factory=list)
    hinted: list[str] = field(default_factory=list)
    before_final: list[str] = field(default_factory=list)
    settings: list[str] = field(default_factory=list)
    pushes: int = 0
    final: str = ""


def key_hash(host: str, port: int, openssl: str) -> str:
    """The hash by which Chromium is told to trust the server's key.

    Not --ignore-certificate-errors: with it nothing is cached, so hinted assets are fetched twice.
    """
    pem = ssl.get_server_certificate((host, port), timeout=_PATIENCE)
    key = _piped([openssl, "x509", "-pubkey", "-noout"], pem.encode())
    der = _piped([openssl, "pkey", "-pubin", "-outform", "der"], key)
    return base64.b64encode(hashlib.sha256(der).digest()).decode()


def _piped(command: list[str], given: bytes) -> bytes:
    return subprocess.run(
        command, input=given, capture_output=True, check=True, timeout=_PATIENCE
    ).stdout


def load(chromium: str, openssl: str, url: str) -> Facts:
    """Load the page with a fresh profile, so over a new connection and with an empty cache."""
    parts = urlsplit(url)
    trusted = key_hash(parts.hostname or "", parts.port or 443, openssl)
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as folder:
        log = Path(folder) / "net-log.json"
        own = [
            f"--ignore-certificate-errors-spki-list={trusted}",
            f"--user-data-dir={folder}/profile",
            f"--log-net-log={log}",
        ]
        subprocess.run(
            [chromium, *_FLAGS, *own, "--dump-dom", url],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_PATIENCE,
            check=False,
        )
        return _facts(_read(log), parts.path or "/")


def read(chromium: str, url: str, home: Path, *flags: str) -> str:
    """The page as HTML once its scripts have run, for a user with this home and a new profile.

    In place of a page that it refuses to show: its warning as HTML, or the name of the error, which
    is all that a newer Chromium tells.
    """
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as folder:
        done = subprocess.run(
            [chromium, *_FLAGS, *flags, f"--user-data-dir={folder}", "--dump-dom", url],
            capture_output=True,
            timeout=_PATIENCE,
            check=False,
            env=os.environ | {"HOME": str(home)},
        )
        failed = _FAILED.search(done.stderr)
        return (done.stdout or (failed[1] if failed else b"")).decode()


def _read(log: Path) -> dict[str, Any]:
    text = log.read_text().strip()
    try:
        read: dict[str, Any] = json.loads(text)
    except ValueError:  # it was not closed properly
        read = json.loads(text.rstrip(", \n") + "]}")
    return read


def _facts(log: dict[str, Any], page: str) -> Facts:
    names = {number: name for name, number in log["constants"]["logEventTypes"].items()}
    facts, of_page = Facts(), None
    for event in log["events"]:
        params = event.get("params")
        if not isinstance(params, dict):
            continue
        fields = _fields(params.get("headers") or [])
        stream = (event["source"]["id"], params.get("stream_id"))
        match names.get(event["type"]):
            case "HTTP2_SESSION_SEND_HEADERS":
                path = fields.get(":path", "")
                facts.requested.append(path)
                if path == page and of_page is None:
                    of_page = stream
            case "HTTP2_SESSION_RECV_HEADERS" if stream == of_page:
                _page_answered(facts, fields)
            case "HTTP2_SESSION_SEND_SETTINGS":
                facts.settings += params.get("settings", [])
            case "HTTP2_SESSION_RECV_PUSH_PROMISE":
                facts.pushes += 1
            case _:
                pass
    return facts


def _fields(lines: list[str]) -> dict[str, str]:
    return dict(line.split(": ", 1) for line in lines if ": " in line)


def _page_answered(facts: Facts, fields: dict[str, str]) -> None:
    if fields.get(":status") == "103":
        # It shows several fields of a name with a NUL in between.
        facts.hinted.append(fields.get("link", "").replace("\0", ", "))
    elif not facts.final:
        facts.final = fields.get(":status", "")
        facts.before_final = list(facts.requested)
