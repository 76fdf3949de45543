"""The script that reports how soon browsers show pages, and its endpoint for anybody."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.resources import files

import pytest

from headstart.learn import Gain, LearnOptions, Metric, PageRecord
from headstart.middleware.rum import ReportRefusal, Rum
from tests.middleware.served import ASSETS, PAGE, PROGRAM, PUSH, Served, ours, scope_of, site
from tests.middleware.test_gain import BROWSER, HALF, ORIGIN, Timed
from tests.server.apps import Headers, Message
from tests.visits import HTML, NO_CONTROL, Found

SAME: Headers = [(b"sec-fetch-site", b"same-origin"), (b"origin", ORIGIN.encode())]


class Sent:
    """What came back."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    async def send(self, message: Message) -> None:
        self.messages.append(message)

    @property
    def status(self) -> int:
        status: int = self.messages[0]["status"]
        return status

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.messages[0]["headers"])

    @property
    def content(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.messages[1:])


async def ask(
    served: Served,
    content: bytes | Iterable[bytes] = b"",
    *,
    path: str = "/.headstart/rum",
    method: str = "POST",
    headers: Headers = SAME,
    address: str = "198.51.100.1",
) -> Sent:
    """Ask the middleware, with content in parts."""
    parts = [content] if isinstance(content, bytes) else list(content)

    async def receive() -> Message:
        if not parts:
            return {"type": "http.disconnect"}
        part = parts.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(parts)}

    sent, scope = Sent(), scope_of(path, headers, method=method, client=(address, 1))
    await served.middleware(scope, receive, sent.send)
    return sent


def rum_of(served: Served) -> Rum:
    assert served.middleware.rum is not None
    return served.middleware.rum


async def known(learn: LearnOptions = HALF) -> Served:
    """A middleware whose page is known, and whose views the lot decides about."""
    timed = Timed(learn=learn)
    timed.served.middleware.rum = Rum(timed.served.middleware.shared)
    for _ in range(8):
        await timed.visit()
    return timed.served


def gain_of(served: Served) -> Gain:
    gain = served.middleware.learner.gain(ORIGIN + PAGE)
    assert gain is not None
    return gain


async def test_the_script_is_small_and_needs_no_permission_of_a_strict_policy() -> None:
    served = Served(rum=True)

    sent = await ask(served, path="/.headstart/rum.js", method="GET")
    head = await ask(served, path="/.headstart/rum.js", method="HEAD")

    assert sent.status == head.status == 200
    assert sent.headers[b"content-type"] == b"text/javascript; charset=utf-8"
    assert sent.headers[b"content-length"] == str(len(sent.content)).encode()
    assert head.headers == sent.headers
    assert head.content == b""
    assert len(sent.content) < 1000
    assert not re.search(rb"eval|Function\(|innerHTML|cookie|localStorage|style", sent.content)
    assert sent.content == files("headstart.middleware").joinpath("rum.js").read_bytes()


async def test_the_paths_are_the_application_s_own_unless_they_are_asked_for() -> None:
    app = site()
    served = Served(app)

    await ask(served, path="/.headstart/rum.js", method="GET")
    await ask(served, b"hint 1 2 3 /")
    await served.middleware.stop()

    assert app.asked == ["/.headstart/rum.js", "/.headstart/rum"]


async def test_other_paths_stay_the_application_s() -> None:
    app = site()
    served = Served(app, rum=True)

    await ask(served, path="/.headstart/other", method="GET")
    await served.middleware.stop()

    assert app.asked == ["/.headstart/other"]


@pytest.mark.parametrize(
    ("path", "method", "allowed"),
    [("/.headstart/rum.js", "POST", b"GET, HEAD"), ("/.headstart/rum", "GET", b"POST")],
)
async def test_other_methods_are_told_which_are_allowed(
    path: str, method: str, allowed: bytes
) -> None:
    sent = await ask(Served(rum=True), path=path, method=method)

    assert (sent.status, sent.headers[b"allow"]) == (405, allowed)


async def test_reports_become_a_gain_beside_the_server_s_own() -> None:
    served = await known()
    for number in range(25):
        served.clock.now += 1.0
        for address, way, times in (
            ("198.51.100", b"hint", b"300 400 600"),
            ("203.0.113", b"control", b"500 800 700"),
        ):
            content = b"%s %s %s" % (way, times, PAGE.encode())
            sent = await ask(served, content, address=f"{address}.{number}")
            assert (sent.status, sent.content) == (204, b"")
    await served.middleware.stop()

    savings = gain_of(served).savings
    reported = (Metric.FCP, Metric.LCP, Metric.LOAD)
    assert [round(savings[metric].seconds, 1) for metric in reported] == [0.2, 0.4, 0.1]
    assert rum_of(served).counted == 50
    assert not rum_of(served).refused


@pytest.mark.parametrize(
    ("headers", "taken"),
    [
        (SAME, True),
        ([(b"sec-fetch-site", b"cross-site"), (b"origin", b"https://evil.test")], False),
        ([(b"sec-fetch-site", b"same-site"), (b"origin", ORIGIN.encode())], False),
        ([(b"origin", ORIGIN.encode())], True),
        ([(b"origin", b"http://example.test")], True),
        ([(b"origin", b"https://evil.test")], False),
        ([(b"origin", b"null")], False),
        ([], False),
    ],
)
async def test_a_report_of_another_site_is_refused(headers: Headers, taken: bool) -> None:
    served = await known()

    sent = await ask(served, b"hint 300 400 600 " + PAGE.encode(), headers=headers)
    await served.middleware.stop()

    assert sent.status == (204 if taken else 403)
    assert rum_of(served).counted == taken
    assert rum_of(served).refused[ReportRefusal.OTHER_SITE] == (not taken)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hint",
        b"hint 1 2 3",
        b"hint 1 2 /page/",
        b"hint 1 2 x /page/",
        b"hint -1 2 3 /page/",
        b"hint 1.5 2 3 /page/",
        b"hint 1e3 2 3 /page/",
        b"hint 123456 2 3 /page/",
        b"hint \xb2 2 3 /page/",
        b"hint 1 2 3 page/",
        b"nothing 1 2 3 /page/",
        b"HINT 1 2 3 /page/",
        b"\xff\xfe\x00",
        b"[" * 2000,
    ],
)
async def test_content_that_the_script_does_not_send_counts_nowhere(content: bytes) -> None:
    served = await known()
    before = gain_of(served)

    sent = await ask(served, content)
    await served.middleware.stop()

    assert sent.status == 204
    assert gain_of(served) == before
    assert rum_of(served).refused == {ReportRefusal.MALFORMED: 1}


async def test_figures_of_a_minute_or_none_are_left_out_of_a_report() -> None:
    served = await known()

    await ask(served, b"hint 0 99999 0 " + PAGE.encode())
    await served.middleware.stop()

    assert rum_of(served).refused == {ReportRefusal.NOT_COUNTED: 1}


async def test_content_is_read_only_so_far() -> None:
    served = Served(rum=True)
    parts = [b"hint 1 2 3 /" + b"a" * 1000] * 50
    left = parts.copy()

    def reading() -> Iterable[bytes]:
        while left:
            yield left.pop()

    sent = await ask(served, b"".join(parts))
    in_parts = await ask(served, reading())
    cut = await ask(served, iter(()))

    assert (sent.status, in_parts.status, cut.status) == (413, 413, 204)
    assert rum_of(served).refused == {ReportRefusal.TOO_LARGE: 2, ReportRefusal.MALFORMED: 1}


@pytest.mark.parametrize("page", ["/never/", "/site.css", "/page/?query", "/page/ more"])
async def test_only_pages_that_were_served_have_reports(page: str) -> None:
    served = await known()
    learner = served.middleware.learner

    await ask(served, b"hint 300 400 600 " + page.encode())
    await served.middleware.stop()

    assert rum_of(served).refused == {ReportRefusal.NOT_COUNTED: 1}
    assert {gain.page for gain in learner.gains()} <= {ORIGIN, ORIGIN + PAGE}


async def test_nothing_counts_before_the_lot_decides_or_without_control_views() -> None:
    served = await known(NO_CONTROL)

    await ask(served, b"hint 300 400 600 " + PAGE.encode())
    await served.middleware.stop()

    assert rum_of(served).refused == {ReportRefusal.NOT_COUNTED: 1}


async def test_one_address_counts_once_until_others_had_their_turn() -> None:
    served = await known()
    await ask(served, b"hint 300 400 600 " + PAGE.encode(), address="203.0.113.9")
    for _ in range(50):
        served.clock.now += 1.0
        await ask(served, b"hint 1 1 1 " + PAGE.encode())
    await served.middleware.stop()

    assert rum_of(served).counted == 2
    assert rum_of(served).refused == {ReportRefusal.NOT_COUNTED: 49}


async def test_reports_of_one_second_are_so_many_of_one_address_and_of_all() -> None:
    served = await known()
    for _ in range(10):
        await ask(served, b"hint 300 400 600 " + PAGE.encode())
    alone = rum_of(served).refused[ReportRefusal.TOO_MANY]
    for number in range(200):
        address = f"203.0.{number}.1"
        await ask(served, b"hint 300 400 600 " + PAGE.encode(), address=address)
    together = rum_of(served).refused[ReportRefusal.TOO_MANY] - alone
    served.clock.now += 1.0
    await ask(served, b"hint 300 400 600 " + PAGE.encode(), address="198.51.100.77")
    await served.middleware.stop()

    assert (alone, together) == (6, 104)
    assert rum_of(served).refused[ReportRefusal.TOO_MANY] == alone + together


async def test_the_script_is_never_sent_ahead_though_pages_name_it() -> None:
    app = site()
    app.found[PAGE] = page = Found(HTML)
    page.content = (
        b"<!doctype html><link rel=stylesheet href=/site.css>"
        b"<script src=/.headstart/rum.js></script>"
    )
    served = Served(app, rum=True)
    await served.load(ASSETS, ours(999), headers=BROWSER)
    await served.later()

    first = await served.get(PAGE, PROGRAM, {**PUSH, **ours(5)}, client=("203.0.113.5", 1))
    candidates = served.middleware.learner.candidates(ORIGIN, PAGE)
    await served.middleware.stop()

    assert "/site.css" in first.pushed
    assert {candidate.target for candidate in candidates} == {"/site.css", "/app.js"}
    assert "/.headstart/rum.js" not in first.pushed


async def test_reports_reach_other_workers() -> None:
    served, other = await known(), await known()
    for number in range(3):
        address = f"198.51.100.{number}"
        await ask(served, b"hint 300 400 600 " + PAGE.encode(), address=address)
    other.middleware.learner.absorb(served.middleware.learner.sync(served.clock.now))
    records = list(other.middleware.learner.export())
    await served.middleware.stop()
    await other.middleware.stop()

    [page] = [each for each in records if isinstance(each, PageRecord) and each.path == PAGE]
    counts = {each.metric: sum(each.counts) for each in page.measures if not each.control}
    assert (counts[Metric.FCP], counts[Metric.LCP], counts[Metric.LOAD]) == (3, 3, 3)


async def test_medians_are_those_of_many_addresses_beside_an_office_and_a_liar() -> None:
    """An office is one address: what its people say counts, and no more than one voter's may."""
    served = await known()
    rum = rum_of(served)
    office = (b"hint 2300 2400 2600 ", b"control 2500 2600 2900 ")
    forged = (b"hint 59000 59000 59000 ", b"control 1 1 1 ")
    for number in range(120):
        served.clock.now += 1.0
        for kind in (0, 1):
            address, spread = f"203.0.{number}.{kind + 1}", 10 * (number % 13)
            first = 440 + spread if kind else 240 + spread
            honest = f"{'control' if kind else 'hint'} {first} {first} {first} {PAGE}"
            await ask(served, honest.encode(), address=address)
            for _ in range(2):
                await ask(served, office[kind] + PAGE.encode(), address="198.51.100.1")
                await ask(served, forged[kind] + PAGE.encode(), address="198.51.100.2")
    savings = gain_of(served).savings
    await served.middleware.stop()

    assert rum.refused[ReportRefusal.NOT_COUNTED] > 700
    for metric in (Metric.FCP, Metric.LCP, Metric.LOAD):
        saving = savings[metric]
        # Within the honest figures, but for the width of a bucket.
        assert 0.23 <= saving.median <= 0.37
        assert 0.43 <= saving.control_median <= 0.57


async def test_people_of_an_office_do_not_keep_others_from_reporting() -> None:
    served = await known()
    for _ in range(30):
        await ask(served, b"hint 300 400 600 " + PAGE.encode(), address="198.51.100.1")
    others = [
        await ask(served, b"hint 300 400 600 " + PAGE.encode(), address=f"203.0.{number}.1")
        for number in range(20)
    ]
    await served.middleware.stop()

    assert rum_of(served).refused == {ReportRefusal.TOO_MANY: 26}
    assert rum_of(served).counted == 4 + 20
    assert [sent.messages[0]["status"] for sent in others] == [204] * 20
