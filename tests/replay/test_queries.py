"""Tests of headstart.replay.queries: URLs with a query that all clients share, and others."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterable, Iterator

import pytest

from headstart.learn import Answer, Exchange, PageRecord, Request
from headstart.learn.logs import LogLine
from headstart.replay.queries import SharedQueries, Url
from headstart.replay.replay import Replay
from tests.learn.site import ORIGIN

STYLE = "/wp-content/themes/shop/style.css?ver=6.1.9"
JQUERY = "/wp-includes/js/jquery/jquery.min.js?ver=3.7.1"


def asset(address: str, target: str, *, status: int = 200, agent: str = "") -> LogLine:
    """A request as a combined log has it: neither type nor cache fields."""
    agent = agent or f"Browser of {address}"
    request = Request(ORIGIN, target, address, user_agent=agent, referer=ORIGIN + "/")
    return LogLine(0, Exchange(request, Answer(status, cache_control=None, validated=None)))


def visits(
    number: int, *targets: str, agents: int = 5, begin: int = 0, status: int = 200
) -> Iterator[LogLine]:
    """Clients with addresses of their own view the page and ask for these assets.

    `{n}` in a target is another text at each visit.
    """
    for n in range(begin, begin + number):
        agent = f"Browser {n % agents}"
        address = f"198.51.{100 + n // 250}.{1 + n % 250}"
        page = Request(ORIGIN, "/", address, user_agent=agent, destination="document")
        yield LogLine(100.0 * n, Exchange(page, Answer(200, "text/html", None, validated=None)))
        for target in targets:
            found = asset(address, target.replace("{n}", f"{n:x}"), agent=agent, status=status)
            yield found._replace(time=100.0 * n + 1)


def learned(lines: Iterable[LogLine]) -> set[str]:
    """Return the assets with a query that are saved."""
    replay = Replay()
    replay.run(sorted(lines, key=lambda line: line.time))
    records = (record for record in replay.learner.export() if isinstance(record, PageRecord))
    return {
        one.asset.target for record in records for one in record.assets if "?" in one.asset.target
    }


def test_versions_of_wordpress_are_learned() -> None:
    lines = visits(6, STYLE, JQUERY, "/wp-includes/fonts/icons.woff2?v=5.1", "/logo.svg")

    assert learned(lines) == {STYLE, JQUERY, "/wp-includes/fonts/icons.woff2?v=5.1"}


@pytest.mark.parametrize(("clients", "agents", "saved"), [(2, 2, 0), (3, 1, 0), (3, 2, 1)])
def test_three_voters_with_two_user_agents_are_needed(
    clients: int, agents: int, saved: int
) -> None:
    assert len(learned(visits(clients, STYLE, agents=agents))) == saved


def test_a_64_of_ipv6_is_one_voter() -> None:
    shared = shared_queries()
    one_customer = [asset(f"2001:db8::{n}", STYLE) for n in range(9)]
    three = [asset(f"2001:db8:{n}::1", STYLE) for n in range(3)]

    assert not any(answers(shared, one_customer))
    assert answers(shared_queries(), three) == [None, True, True]


def shared_queries() -> SharedQueries:
    return SharedQueries(2048, lambda url: None)


def answers(shared: SharedQueries, lines: Iterable[LogLine]) -> list[bool | None]:
    return [shared.judged(*typed(line)).validated for line in lines]


def typed(line: LogLine) -> tuple[Request, Answer]:
    request, answer = line.exchange
    return request, answer._replace(content_type="text/css")


@pytest.mark.parametrize(
    "target",
    [
        "/style.css?token={n}",
        "/style.css?_={n}",
        "/app.js?ver=6.1.9&nonce={n}",
        "/pixel.gif?visitor={n}",
    ],
)
def test_a_query_of_each_request_is_never_learned(target: str) -> None:
    assert learned(visits(40, target)) == set()


def test_a_token_is_not_learned_though_its_user_comes_from_many_addresses() -> None:
    lines = [
        line._replace(time=line.time + user)
        for user in range(4)
        for line in visits(6, f"/style.css?token={user}", begin=10 * user, agents=2)
    ]

    assert learned(lines) == set()


def test_a_lonely_user_with_one_browser_and_many_addresses_teaches_no_token() -> None:
    assert learned(visits(30, "/style.css?token=1", agents=1)) == set()


@pytest.mark.parametrize(
    "target",
    [
        "/wp-admin/load-styles.php?load=a",
        "/avatar?size=1",
        "/index.php/style.css?ver=1",
        "/run.cgi%2Fstyle.css?ver=1",
        "/api/users.json?page=1",
    ],
)
def test_only_a_static_name_is_learned(target: str) -> None:
    assert learned(visits(6, target)) == set()


@pytest.mark.parametrize("status", [206, 302, 403, 404])
def test_only_files_that_are_there_are_learned(status: int) -> None:
    assert learned(visits(6, STYLE, status=status)) == set()


def test_an_image_is_learned_once_it_was_answered_304() -> None:
    image = "/banner.png?w=600"
    again = [asset("198.51.100.3", image, status=304)._replace(time=250.0)]

    assert learned(visits(8, image)) == set()
    assert learned([*visits(8, image), *again]) == {image}


def test_the_query_that_most_clients_leave_out_is_not_learned() -> None:
    lines = [
        *visits(4, STYLE),
        *visits(9, "/a.css?x", "/plain.css"),
        *visits(20, STYLE.partition("?")[0], begin=20),
    ]

    assert learned(lines) == {"/a.css?x"}


def test_a_new_version_takes_the_place_of_the_old_one() -> None:
    replay = Replay()
    replay.run([*visits(30, STYLE), *visits(30, STYLE.replace("6.1", "6.2"), begin=30)])

    found = {
        one.asset.target
        for record in replay.learner.export()
        if isinstance(record, PageRecord)
        for one in record.assets
    }
    assert found == {STYLE.replace("6.1", "6.2")}
    assert replay.unlearned == 0


def test_left_out_are_those_that_two_voters_share() -> None:
    replay = Replay()
    replay.run([*visits(2, STYLE, "/a.css?{n}"), *visits(1, JQUERY, begin=7)])

    assert replay.unlearned == 1


def test_answers_that_tell_more_than_a_log_are_left_as_they_are() -> None:
    shared = shared_queries()
    for number in range(6):
        request, answer = typed(asset(f"192.0.2.{number}", STYLE))
        for told in (
            answer._replace(validated=False),
            answer._replace(cache_control="private"),
            answer._replace(cache_control="max-age=600"),
            answer._replace(sets_cookie=True),
            answer._replace(content_type="text/html"),
        ):
            assert shared.judged(request, told) is told
    assert not shared.left_out


def test_long_urls_are_left_as_they_are() -> None:
    lines = [asset(f"192.0.2.{n}", STYLE + "0" * 2048) for n in range(6)]

    assert not any(answers(shared_queries(), lines))


def test_a_path_that_is_displaced_is_judged_by_what_was_seen() -> None:
    withdrawn: list[Url] = []
    shared = SharedQueries(2048, withdrawn.append)
    good = [asset(f"192.0.2.{n}", STYLE) for n in range(4)]
    weak = [asset(f"192.0.2.{n}", JQUERY.replace(".js", ".css")) for n in range(2)]
    answers(shared, [*good, *weak])
    answers(shared, (asset("192.0.2.9", f"/{n}.css?a") for n in range(2_000)))
    shared.finish()

    assert withdrawn == [(ORIGIN, JQUERY.replace(".js", ".css"))]


def test_hostile_queries_cost_no_memory() -> None:
    shared = shared_queries()

    def flood(begin: int) -> None:
        for n in range(begin, begin + 8_000):
            query = f"{n}" * 200
            address = f"2001:db8:{n % 9999:x}::1"
            answers(shared, [asset(address, f"/{n % 2500}.css?{query[:1500]}", status=304)])
            answers(shared, [asset(address, f"/hot.css?{query[:1500]}")])

    tracemalloc.start()
    try:
        flood(0)
        _, peak = tracemalloc.get_traced_memory()
        flood(8_000)
        _, later = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 8_000_000
    assert later < peak + 500_000
