"""One headless Chromium for many loads, driven by the DevTools protocol.

Each load has a profile of its own unless it is told to go on in one, so its cache is empty and its
connection new. A profile lives on after its load, and may ask for more; `Tab.leave` and
`Browser.forget` end it. How often an asset was fetched the server knows best; this tells the 103s,
the console and the document. Needs chromium.
"""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import load_pem_x509_certificate
from websockets.sync.client import ClientConnection, connect

from headstart.wire.links import ParsedLink, parse
from tests.server.live import certificate, until

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
    "--remote-debugging-port=0",
)
_PATIENCE = 90.0
_PHONE = (
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/124.0.0.0 Mobile Safari/537.36"
)

Event = dict[str, Any]


@dataclass
class Load:
    """One load of a page.

    Attributes:
        hinted: The links of its 103s.
        linked: The links of its response.
        status: Of its response.
        console: What the console shows, one text a message.
    """

    hinted: list[ParsedLink] = field(default_factory=list)
    linked: list[ParsedLink] = field(default_factory=list)
    status: int = 0
    console: list[str] = field(default_factory=list)


class Tab:
    """A tab in a profile of its own."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._context: str = browser.call("Target.createBrowserContext")["browserContextId"]
        browser.contexts.add(self._context)
        context = self._context
        target = browser.call("Target.createTarget", url="about:blank", browserContextId=context)[
            "targetId"
        ]
        attached = browser.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session: str = attached["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> Event:
        """Call a method of the protocol in this tab."""
        return self._browser.call(method, self._session, **params)

    def leave(self) -> None:
        """End the profile, and with it all that it does late, such as a service worker's update."""
        self._browser.dispose(self._context)

    def until(self, condition: Callable[[], object]) -> None:
        """Take what the browser says until `condition` holds."""
        self._browser.until(condition)

    @property
    def events(self) -> list[Event]:
        """All that happened in the tab since the last load began."""
        return self._browser.events_of(self._session)

    def load(self, url: str, *, user_agent: str = "", mobile: bool = False) -> Load:
        """Load a page, and wait for its load event.

        Args:
            url: Of the page.
            user_agent: What the browser says that it is.
            mobile: It is on a phone.
        """
        if mobile:
            self._become_phone()
        if user_agent:
            self.call("Network.setUserAgentOverride", userAgent=user_agent)
        events = self._browser.events_of(self._session)
        del events[:]
        self.call("Page.navigate", url=url)
        self._browser.until(
            lambda: any(event["method"] == "Page.loadEventFired" for event in events)
        )
        return _load(events)

    def paints(self) -> Paints:
        """Return the times of each Largest Contentful Paint to come, in seconds since 1970."""
        self.call("PerformanceTimeline.enable", eventTypes=["largest-contentful-paint"])
        return Paints(self._browser.events_of(self._session))

    def _become_phone(self) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=400,
            height=800,
            deviceScaleFactor=1,
            mobile=True,
        )
        self.call(
            "Emulation.setUserAgentOverride",
            userAgent=_PHONE,
            userAgentMetadata={
                "platform": "Android",
                "platformVersion": "10",
                "architecture": "",
                "model": "K",
                "mobile": True,
            },
        )

    def run(self, expression: str) -> Any:
        """Return the value of an expression, or of the promise that it gives."""
        answer = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")


class Paints:
    """The paints that a tab tells of, until it loads another page."""

    def __init__(self, events: list[Event]) -> None:
        self._events = events

    def __len__(self) -> int:
        return len(self._times())

    def __getitem__(self, place: int) -> float:
        return self._times()[place]

    def _times(self) -> list[float]:
        return [
            event["params"]["event"]["lcpDetails"]["renderTime"]
            for event in self._events
            if event["method"] == "PerformanceTimeline.timelineEventAdded"
        ]


class Browser:
    """A running Chromium.

    Attributes:
        contexts: The profiles of its tabs.
    """

    def __init__(self, socket: ClientConnection) -> None:
        self.contexts: set[str] = set()
        self._socket = socket
        self._last_id = 0
        self._answers: dict[int, Event] = {}
        self._events: dict[str, list[Event]] = {}

    def load(self, url: str, *, user_agent: str = "", mobile: bool = False) -> Load:
        """Load a page as somebody who has never been there."""
        return Tab(self).load(url, user_agent=user_agent, mobile=mobile)

    def forget(self) -> None:
        """End the profiles of all tabs."""
        for context in list(self.contexts):
            self.dispose(context)
        self._events.clear()

    def dispose(self, context: str) -> None:
        """End a profile."""
        self.contexts.remove(context)
        self.call("Target.disposeBrowserContext", browserContextId=context)

    def call(self, method: str, session: str = "", **params: Any) -> Event:
        """Call a method of the protocol, and return its result."""
        self._last_id = number = self._last_id + 1
        message: Event = {"id": number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        self._socket.send(json.dumps(message))
        self.until(lambda: number in self._answers)
        answer = self._answers.pop(number)
        assert "error" not in answer, answer
        result: Event = answer["result"]
        return result

    def events_of(self, session: str) -> list[Event]:
        """Return the list that the events of a tab are added to."""
        return self._events.setdefault(session, [])

    def until(self, condition: Callable[[], object]) -> None:
        """Take what the browser says until `condition` holds."""
        deadline = time.monotonic() + _PATIENCE
        while not condition():
            message = json.loads(self._socket.recv(timeout=deadline - time.monotonic()))
            if "id" in message:
                self._answers[message["id"]] = message
            else:
                self.events_of(message.get("sessionId", "")).append(message)


@contextmanager
def chromium(program: str, *, trusting: bool = True) -> Iterator[Browser]:
    """Start Chromium, which trusts the development certificate as it would any other.

    If it is not `trusting`, it goes on as after a click on the warning of the certificate.
    """
    trust = (
        f"--ignore-certificate-errors-spki-list={_key_hash()}"
        if trusting
        else "--ignore-certificate-errors"
    )
    with _started(program, trust) as browser:
        yield browser


@contextmanager
def cleartext_chromium(program: str) -> Iterator[Browser]:
    """Start Chromium for servers without TLS."""
    with _started(program) as browser:
        yield browser


def _key_hash() -> str:
    """Return the hash by which Chromium is told to trust the development certificate's key.

    Not --ignore-certificate-errors: with it nothing is cached, so hinted assets are fetched twice.
    """
    key = load_pem_x509_certificate(certificate().certfile.read_bytes()).public_key()
    encoded = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(encoded).digest()).decode()


@contextmanager
def _started(program: str, *flags: str) -> Iterator[Browser]:
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as folder:
        command = [program, *_FLAGS, *flags, f"--user-data-dir={folder}"]
        # Its messages are many, and a pipe that nobody reads would stop it.
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            # A test may look elsewhere for longer than a ping may take.
            with connect(
                _address(process, Path(folder)),
                max_size=None,
                ping_interval=None,
                open_timeout=_PATIENCE,
            ) as socket:
                yield Browser(socket)
        finally:
            process.kill()
            process.communicate()


def _address(process: subprocess.Popen[bytes], folder: Path) -> str:
    """Return where it listens for its driver, once it says so."""
    told = folder / "DevToolsActivePort"

    def says() -> list[str]:
        assert process.poll() is None, "Chromium does not start"
        return told.read_text().split() if told.exists() else []

    until(lambda: len(says()) == 2, "the start of Chromium")
    port, path = says()
    return f"ws://127.0.0.1:{port}{path}"


def _load(events: list[Event]) -> Load:
    load = Load()
    for event in events:
        params = event["params"]
        match event["method"]:
            case "Network.responseReceivedEarlyHints":
                load.hinted += _links(params["headers"])
            case "Network.responseReceived" if params["type"] == "Document" and not load.status:
                load.status = params["response"]["status"]
                load.linked = _links(params["response"]["headers"])
            case "Log.entryAdded":
                load.console.append(params["entry"]["text"])
            case "Runtime.consoleAPICalled":
                load.console.append(" ".join(str(a.get("value")) for a in params["args"]))
            case "Runtime.exceptionThrown":
                load.console.append(params["exceptionDetails"]["text"])
            case _:
                pass
    return load


def _links(headers: dict[str, str]) -> list[ParsedLink]:
    fields = {name.lower(): value for name, value in headers.items()}
    return parse(fields.get("link", "").replace("\n", ", "))
