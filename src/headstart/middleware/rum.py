"""Real-user monitoring: a script that reports how soon browsers show a page, and its endpoint.

`/.headstart/rum.js` sends how its page's assets came, and when the browser painted it, to
`/.headstart/rum`. It sets no cookie and says nothing of the user. Anybody can send anything to that
address, so a report is short, from the site itself, about a page that was served, and one of few
from its address; and what it says is one voter's word (`learn.gains`). Called by `middleware` if
the operator wants it.
"""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from importlib.resources import files

from headstart.deliver.asgi import Receive, Scope, Send
from headstart.learn import Report, voter_of
from headstart.middleware.shared import Shared
from headstart.middleware.translation import learned_request

SCRIPT_PATH = "/.headstart/rum.js"
REPORT_PATH = "/.headstart/rum"
PATHS = frozenset((SCRIPT_PATH, REPORT_PATH))
# Bytes of a report: four short words and the path of a page.
_MOST_BYTES = 2200
# Reports a second that one worker takes in all, and of one address.
_MOST_REPORTS = 100
_MOST_OF_A_VOTER = 4
# Seconds after which a page was not waited for, but came in the background or from a laptop that
# slept.
_LONGEST = 60.0
_CONTROL = "control"
_WAYS = frozenset(("push", "hint", "link", _CONTROL))
_FIGURES = 3


class ReportRefusal(StrEnum):
    """Why a report does not count. The value is the word in counters."""

    OTHER_SITE = "other-site"
    """It does not come from a page of this site."""
    TOO_LARGE = "too-large"
    """It is longer than the script's reports are."""
    MALFORMED = "malformed"
    """It is not one of the script's reports."""
    TOO_MANY = "too-many"
    """This address, or all together, sent too many within a second."""
    NOT_COUNTED = "not-counted"
    """The page is not one that is measured, or its voter had a turn."""


class Rum:
    """Answer requests for the script and for its endpoint.

    Attributes:
        counted: Reports that counted.
        refused: Those that did not, by reason.
    """

    def __init__(self, shared: Shared) -> None:
        self.counted = 0
        self.refused: Counter[ReportRefusal] = Counter()
        self._shared = shared
        self._script = files("headstart.middleware").joinpath("rum.js").read_bytes()
        self._second = 0
        self._taken: Counter[int] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request for one of `PATHS`."""
        method = scope["method"]
        if scope["path"] == SCRIPT_PATH:
            if method in ("GET", "HEAD"):
                await self._serve(send, content=method == "GET")
            else:
                await _respond(send, 405, (b"allow", b"GET, HEAD"))
        elif method == "POST":
            refusal = await self._take(scope, receive)
            self.counted += refusal is None
            if refusal is not None:
                self.refused[refusal] += 1
            await _respond(send, 204 if refusal is None else _STATUSES.get(refusal, 204))
        else:
            await _respond(send, 405, (b"allow", b"POST"))

    async def _serve(self, send: Send, *, content: bool) -> None:
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [
                    (b"content-type", b"text/javascript; charset=utf-8"),
                    (b"cache-control", b"public, max-age=3600"),
                    (b"x-content-type-options", b"nosniff"),
                    (b"content-length", b"%d" % len(self._script)),
                ],
            }
        )
        await send({"type": "http.response.body", "body": self._script if content else b""})

    async def _take(self, scope: Scope, receive: Receive) -> ReportRefusal | None:
        """Take a report. Return why it does not count, or None if it does."""
        if not _is_same_site(scope):
            return ReportRefusal.OTHER_SITE
        content = await _read(receive)
        if content is None:
            return ReportRefusal.TOO_LARGE
        report = self._report(scope, content)
        if report is None:
            return ReportRefusal.MALFORMED
        if not self._admit(report.voter):
            return ReportRefusal.TOO_MANY
        return None if self._shared.learner.report(report) else ReportRefusal.NOT_COUNTED

    def _report(self, scope: Scope, content: bytes) -> Report | None:
        """Return a report such as `hint 310 420 500 /about`, or None if it is not one.

        The figures are milliseconds until the first paint, the largest one and the load event; 0
        stands for one that did not happen.
        """
        way, *rest = content.decode("latin-1").split(" ", _FIGURES + 1)
        if way not in _WAYS or len(rest) != _FIGURES + 1:
            return None
        *figures, path = rest
        if not path.startswith("/") or not all(map(_is_figure, figures)):
            return None
        fcp, lcp, load = (_seconds(figure) for figure in figures)
        request = learned_request(scope)
        return Report(
            time=self._shared.clock(),
            origin=request.origin,
            path=path,
            voter=voter_of(request.address),
            control=way == _CONTROL,
            fcp=fcp,
            lcp=lcp,
            load=load,
        )

    def _admit(self, voter: int) -> bool:
        """Return whether this voter, and all together, sent few enough within this second."""
        second = int(self._shared.clock())
        if second != self._second:
            self._second = second
            self._taken.clear()
        if self._taken.total() >= _MOST_REPORTS or self._taken[voter] >= _MOST_OF_A_VOTER:
            return False
        self._taken[voter] += 1
        return True


_STATUSES = {ReportRefusal.OTHER_SITE: 403, ReportRefusal.TOO_LARGE: 413}


def _is_same_site(scope: Scope) -> bool:
    """Return whether a page of the same origin sent a request, as browsers say.

    Sec-Fetch-Site comes over https only. The scheme of Origin is not compared, because a proxy in
    front may end TLS.
    """
    found: dict[bytes, bytes] = dict(scope["headers"])
    site = found.get(b"sec-fetch-site")
    if site is not None:
        return site == b"same-origin"
    authority = found.get(b"origin", b"").partition(b"://")[2]
    return bool(authority) and authority == found.get(b"host")


async def _read(receive: Receive) -> bytes | None:
    """Return the content of a request, empty if it does not come whole; None if it is too long."""
    content = b""
    while len(content) <= _MOST_BYTES:
        message = await receive()
        if message["type"] != "http.request":
            return b""
        content += message.get("body", b"")
        if not message.get("more_body", False):
            return content if len(content) <= _MOST_BYTES else None
    return None


def _is_figure(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= len("99999")


def _seconds(figure: str) -> float | None:
    seconds = int(figure) / 1000
    return seconds if 0 < seconds <= _LONGEST else None


async def _respond(send: Send, status: int, *fields: tuple[bytes, bytes]) -> None:
    headers = [(b"cache-control", b"no-store"), *fields]
    if status != 204:
        headers.append((b"content-length", b"0"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body"})
