"""The answers of several processes as one snapshot."""

from __future__ import annotations

from typing import Any

from headstart.admin.site.snapshot import (
    GainShown,
    PageList,
    PageSnapshot,
    SavingShown,
    list_of,
    page_of,
    snapshot_of,
    total,
)
from headstart.middleware.recorded import (
    SPAN,
    SPANS,
    Figures,
    PageLoad,
    Report,
    SiteReport,
    as_plain,
)

NOW = 1_000_000.0
SPAN_NOW = int(NOW) // SPAN * SPAN
A, B = "https://a.test", "https://b.test"


def load(time: float, origin: str = A) -> PageLoad:
    return PageLoad(origin, "/", time, "2", "", None, 0.1, 0.2, 200, 10)


def answer(
    *sites: SiteReport, loads: tuple[PageLoad, ...] = (), known: Any = (), **counters: Any
) -> dict[str, Any]:
    """The answer of one process."""
    counted = {"open": 1, "accepted": 2, "connections": {}, "requests": {}, **counters}
    return {
        "report": as_plain(Report(sites, loads)),
        "counters": counted,
        "streams": 3,
        "learning": True,
        "known": known,
    }


def site(origin: str, *history: Figures, **refused: int) -> SiteReport:
    return SiteReport(origin, history, refused)


def test_figures_of_all_processes_are_added_span_by_span() -> None:
    first = answer(site(A, Figures(SPAN_NOW - SPAN, 1), Figures(SPAN_NOW, 2, used=1), no=1))
    second = answer(site(A, Figures(SPAN_NOW, 5, asked=3), no=2, other=9))

    shot = snapshot_of([first, second], NOW)

    [found] = shot.sites
    assert len(found.history) == SPANS
    assert found.history[-1] == Figures(SPAN_NOW, 7, used=1, asked=3)
    assert found.history[-2] == Figures(SPAN_NOW - SPAN, 1)
    assert found.history[0] == Figures(SPAN_NOW - SPAN * (SPANS - 1))
    assert found.refused == (("other", 9), ("no", 3))


def test_now_is_the_last_quarter_of_an_hour_and_the_whole_twelve_hours() -> None:
    spans = [Figures(SPAN_NOW - SPAN * back, 1) for back in (0, 1, 2, 3, SPANS - 1, SPANS)]

    [found] = snapshot_of([answer(site(A, *spans))], NOW).sites

    assert (found.now.views, found.whole.views) == (3, 5)


def test_site_with_the_most_views_comes_first_and_one_that_is_only_known_last() -> None:
    known = [{"origin": "https://known.test", "gain": None, "findings": ["Assets say no-store."]}]
    said = answer(site(A, Figures(SPAN_NOW, 1)), site(B, Figures(SPAN_NOW, 2)), known=known)

    shot = snapshot_of([said], NOW)

    assert [one.origin for one in shot.sites] == [B, A, "https://known.test"]
    assert shot.sites[2].findings == ("Assets say no-store.",)
    assert shot.site(A) is shot.sites[1]
    assert shot.site("https://c.test") is None


def test_last_loads_of_all_processes_are_in_order_and_bounded() -> None:
    first = answer(loads=tuple(load(time) for time in range(40, 0, -2)))
    second = answer(loads=tuple(load(time) for time in range(39, 0, -2)))

    shot = snapshot_of([first, second], NOW)

    assert [one.time for one in shot.loads] == list(range(40, 10, -1))


def test_counters_are_added_and_a_silent_process_is_told_of() -> None:
    first = answer(connections={"idle": 2}, requests={"malformed": 1})
    second = answer(connections={"idle": 1, "peer-left": 9})

    server = snapshot_of([first, None, second], NOW).server

    assert (server.processes, server.silent, server.learning) == (2, 1, True)
    assert (server.open, server.accepted, server.streams) == (2, 4, 6)
    assert server.connections == (("peer-left", 9), ("idle", 3))
    assert server.requests == (("malformed", 1),)


def test_server_that_does_not_learn_has_no_sites() -> None:
    plain = {**answer(), "report": None, "learning": False}

    shot = snapshot_of([plain], NOW)

    assert (shot.sites, shot.loads, shot.server.learning) == ((), (), False)
    assert snapshot_of([], NOW).server.processes == 0


def test_gain_is_that_of_the_map() -> None:
    saving = SavingShown("loaded", 0.1, 0.05, 0.15, 0.3, 0.4, 900.0, 30.0)
    plain = {
        "views": 900.0,
        "control_views": 30.0,
        "stop": "It costs time.",
        "savings": [{name: getattr(saving, name) for name in SavingShown.__slots__}],
    }
    known = [{"origin": A, "gain": plain, "findings": []}]

    [found] = snapshot_of([answer(known=known)], NOW).sites

    assert found.gain == GainShown(900.0, 30.0, (saving,), "It costs time.")


def test_list_of_pages_is_that_of_the_process_that_knows_the_most() -> None:
    line = {"path": "/", "views": 1.0, "assets": 2, "sent": 1, "judged": 0.0, "useful": 0.0}

    found = list_of([None, {"total": 0, "pages": []}, {"total": 1, "pages": [line]}])

    assert (found.total, found.pages[0].path) == (1, "/")
    assert list_of([None]) == PageList(0, ())


def test_page_is_that_of_the_process_that_knows_it() -> None:
    asset = {
        "target": "/a.css",
        "probability": 0.5,
        "views": 1.0,
        "sent": True,
        "why": "",
        "how": "",
        "pinned": False,
        "barred": False,
    }
    borrowed = {"known": False, "assets": [asset, asset], "gain": None}
    known = {"known": True, "assets": [asset], "gain": None}

    assert page_of([borrowed, None, known]) == page_of([known])
    assert page_of([known]).known
    assert page_of([]) == PageSnapshot(known=False, assets=())


def test_sum_of_no_figures_is_none() -> None:
    assert total([]) == Figures(0)
