"""Chromium, driven by Playwright: each load in a fresh profile, over a link with a distance."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from playwright.sync_api import Browser, ConsoleMessage, sync_playwright

from bench.cores import on
from bench.relay import DelayingRelay
from headstart.wire.links import parse
from sites.cores import CORES

# Visitors of a site come from different addresses, and the learner counts them by that.
_ADDRESSES = tuple(f"127.0.0.{number}" for number in range(2, 12))
# How long after the load event Chromium says that a preloaded resource was not used, and more.
_UNUSED_SECONDS = 6.0


@dataclass
class Load:
    """One load of a page by a browser that has never been there.

    Attributes:
        milliseconds: From the start of the navigation to the end of the load event.
        hinted: Targets that the 103 named.
        linked: Targets that the page's own Link field named.
        warnings: Console messages about preloads.
    """

    milliseconds: float
    hinted: list[str]
    linked: list[str]
    warnings: list[str] = field(default_factory=list)


def key_hash(certificate: Path) -> str:
    """Return the hash of the certificate's key, as Chromium's option for trusted keys wants it."""
    key = x509.load_pem_x509_certificate(certificate.read_bytes()).public_key()
    encoded = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(encoded).digest()).decode()


@contextmanager
def browser(program: str, certificate: Path) -> Iterator[Browser]:
    """Start Chromium, which trusts `certificate` as it would any other and so caches as ever.

    It shares no core with the servers: a visitor's browser runs on a machine of its own.
    """
    with on(CORES.load), sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=program,
            args=[
                "--disable-quic",
                "--no-sandbox",
                f"--ignore-certificate-errors-spki-list={key_hash(certificate)}",
            ],
        )
        try:
            yield started
        finally:
            started.close()


def load(started: Browser, url: str, *, wait_for_warnings: bool = False) -> Load:
    """Load `url` in a profile of its own."""
    context = started.new_context()
    warnings: list[str] = []
    early: list[str] = []

    def said(message: ConsoleMessage) -> None:
        if "preload" in message.text:
            warnings.append(message.text)

    def told(event: dict[str, Any]) -> None:
        fields = {name.lower(): value for name, value in event["headers"].items()}
        early.extend(link.target for link in parse(fields.get("link", "").replace("\n", ", ")))

    try:
        page = context.new_page()
        page.on("console", said)
        session = context.new_cdp_session(page)
        session.on("Network.responseReceivedEarlyHints", told)
        session.send("Network.enable")
        answer = page.goto(url, wait_until="load", timeout=60_000)
        timing = page.evaluate(
            "() => { const entry = performance.getEntriesByType('navigation')[0];"
            " return entry.loadEventEnd || entry.loadEventStart }"
        )
        if wait_for_warnings:
            page.wait_for_timeout(_UNUSED_SECONDS * 1000)
        links = answer.header_value("link") if answer is not None else None
        linked = [link.target for link in parse(links or "")]
        return Load(float(timing), early, linked, warnings)
    finally:
        context.close()


@contextmanager
def distant(port: int, delay: float) -> Iterator[int]:
    """Lead a port of this machine to `port`, `delay` seconds away; the loop has its own thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    relay = DelayingRelay(port, delay, _ADDRESSES)
    asyncio.run_coroutine_threadsafe(relay.__aenter__(), loop).result()
    try:
        yield relay.port
    finally:
        asyncio.run_coroutine_threadsafe(relay.__aexit__(None, None, None), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
