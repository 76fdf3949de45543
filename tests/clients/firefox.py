"""One headless Firefox for many loads, driven by WebDriver BiDi.

Each tab has a profile of its own (a user context: its cache, cookies and connections are apart from
those of the others), which lives until `Tab.leave` or `Browser.forget` ends it. Firefox tells its
driver nothing of a 103; which assets it asked for before the page's response, the server knows.
Needs firefox-esr, and certutil for the development certificate.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

from headstart.wire.links import ParsedLink, parse
from tests.clients.chromium import Event, Load
from tests.peers import lack
from tests.server.live import certificate, until

_FLAGS = (
    "--headless",
    "--no-remote",
    "--remote-debugging-port=0",
    # The warnings of a page, such as that of an unused preload, are in the browser's own console.
    "--remote-allow-system-access",
)
_PREFERENCES: dict[str, bool | int | str] = {
    "app.normandy.enabled": False,
    "app.update.enabled": False,
    "browser.newtabpage.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.page": 0,
    # One process for all pages; their caches are apart all the same.
    "dom.ipc.processCount": 1,
    "dom.ipc.processPrelaunch.enabled": False,
    "fission.autostart": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "extensions.update.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "network.proxy.type": 0,
    "remote.active-protocols": 1,
    "toolkit.telemetry.enabled": False,
}
_PATIENCE = 90.0
# All that its console has of a page, and of nothing else.
_SAID = """
Services.console.getMessageArray()
    .filter(one => one instanceof Ci.nsIScriptError && one.sourceName === PAGE)
    .map(one => one.errorMessage)
"""


class Tab:
    """A tab in a profile of its own."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self.profile: str = browser.call("browser.createUserContext")["userContext"]
        browser.profiles.add(self.profile)
        tab = browser.call("browsingContext.create", type="tab", userContext=self.profile)
        self.context: str = tab["context"]

    def leave(self) -> None:
        """End the profile."""
        self._browser.dispose(self.profile)

    def load(self, url: str) -> Load:
        """Load a page, and wait for its load event."""
        self._browser.events.clear()
        self._browser.call(
            "browsingContext.navigate", context=self.context, url=url, wait="complete"
        )
        load = Load(console=self._browser.console(url))
        for event in self._browser.events:
            told = event["params"]
            if event["method"] == "network.responseCompleted" and told["navigation"]:
                load.status = told["response"]["status"]
                load.linked = _links(told["response"]["headers"])
        return load

    def run(self, expression: str) -> Any:
        """Return the value of an expression, or of the promise that it gives."""
        return self._browser.evaluate(self.context, expression)

    def console(self, url: str) -> list[str]:
        """Return the console's messages of a page that was loaded."""
        return self._browser.console(url)


class Browser:
    """A running Firefox.

    Attributes:
        profiles: Of its tabs.
        events: What happened since the last load began, in order.
    """

    def __init__(self, socket: ClientConnection) -> None:
        self.profiles: set[str] = set()
        self.events: list[Event] = []
        self._socket = socket
        self._last_id = 0
        self._answers: dict[int, Event] = {}
        self.version: str = self.call("session.new", capabilities={})["capabilities"][
            "browserVersion"
        ]
        self.call("session.subscribe", events=["network.responseCompleted"])
        whole = self.call("browsingContext.getTree", **{"moz:scope": "chrome"})
        self._chrome: str = whole["contexts"][0]["context"]
        # Older ones, such as 140, do not know `moz:scope`, and give a page.
        if self.evaluate(self._chrome, "typeof Services") != "object":
            lack(f"firefox-esr {self.version} shows its driver no console")

    def tab(self) -> Tab:
        """Open a tab in a new profile."""
        return Tab(self)

    def forget(self) -> None:
        """End the profiles of all tabs."""
        for profile in list(self.profiles):
            self.dispose(profile)

    def dispose(self, profile: str) -> None:
        """End a profile."""
        self.profiles.remove(profile)
        self.call("browser.removeUserContext", userContext=profile)

    def console(self, url: str) -> list[str]:
        """Return the console's messages of a page."""
        said = self.evaluate(self._chrome, _SAID.replace("PAGE", json.dumps(url)))
        return [one["value"] for one in said]

    def evaluate(self, context: str, expression: str) -> Any:
        """Return the value of an expression in a tab, or of the promise that it gives."""
        answer = self.call(
            "script.evaluate", expression=expression, target={"context": context}, awaitPromise=True
        )
        assert answer["type"] == "success", answer
        return answer["result"].get("value")

    def call(self, method: str, **params: Any) -> Event:
        """Call a method of the protocol, and return its result."""
        self._last_id = number = self._last_id + 1
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        self.until(lambda: number in self._answers)
        answer = self._answers.pop(number)
        assert answer["type"] == "success", answer
        result: Event = answer["result"]
        return result

    def until(self, condition: Callable[[], object]) -> None:
        """Take what the browser says until `condition` holds."""
        deadline = time.monotonic() + _PATIENCE
        while not condition():
            message = json.loads(self._socket.recv(timeout=deadline - time.monotonic()))
            if message.get("id") is not None:
                self._answers[message["id"]] = message
            else:
                self.events.append(message)


@contextmanager
def firefox(program: str, certutil: str) -> Iterator[Browser]:
    """Start Firefox, which trusts the development certificate authority."""
    with tempfile.TemporaryDirectory(prefix="firefox-", ignore_cleanup_errors=True) as folder:
        trust = [certutil, "-d", f"sql:{folder}", "-A", "-t", "C,,", "-n", "headstart"]
        trust += ["-i", str(certificate().ca_certfile)]
        subprocess.run(
            [certutil, "-d", f"sql:{folder}", "-N", "--empty-password"], check=True, timeout=90
        )
        subprocess.run(trust, check=True, timeout=90)
        lines = [
            f"user_pref({json.dumps(name)}, {json.dumps(value)});\n"
            for name, value in _PREFERENCES.items()
        ]
        Path(folder, "user.js").write_text("".join(lines))
        command = [program, *_FLAGS, "--profile", folder]
        # Its messages are many, and a pipe that nobody reads would stop it.
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
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
    told = folder / "WebDriverBiDiServer.json"

    def says() -> str:
        assert process.poll() is None, "Firefox does not start"
        return told.read_text() if told.exists() else ""

    until(lambda: says().rstrip().endswith("}"), "the start of Firefox")
    listens = json.loads(says())
    return f"ws://{listens['ws_host']}:{listens['ws_port']}/session"


def _links(headers: list[dict[str, Any]]) -> list[ParsedLink]:
    fields = [header["value"]["value"] for header in headers if header["name"].lower() == "link"]
    return parse(", ".join(fields).replace("\n", ", "))
