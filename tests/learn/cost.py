"""What the learner costs: `python -m tests.learn.cost`.

A map of 1,000 pages with 20 assets each, built from real exchanges; medians in microseconds of a
monotonic clock. The time that making `Request` and `Answer` takes is in all of them, and said by
itself.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from time import perf_counter_ns

from headstart.learn import Answer, Learner, LearnOptions, Request
from tests.learn.site import CACHEABLE, HTML, ORIGIN

PAGES, ASSETS = 1000, 20


def built() -> Learner:
    """A learner that knows 1,000 pages with 20 assets each, asked for by two clients."""
    learner = Learner(LearnOptions(control_share=0))
    now = 0.0
    for visitor in range(2):
        for page in range(PAGES):
            address = f"10.{visitor}.{page // 250}.{page % 250}"
            _visit(learner, page, address, now)
            now += 0.01
            if page % 100 == 0:
                learner.sync(now)
        now += 20.0
        learner.sync(now)
    return learner


def path(page: int) -> str:
    """A page's path; ten directories share them."""
    return f"/d{page % 10}/p{page}"


def _visit(learner: Learner, page: int, address: str, now: float) -> None:
    request = Request(ORIGIN, path(page), address, destination="document")
    learner.complete(request, HTML, learner.begin(request, now), now)
    for asset in range(ASSETS):
        exchange = asset_exchange(page, asset, address)
        learner.complete(*exchange, None, now)


def asset_exchange(
    page: int, asset: int, address: str, connection: int | None = None
) -> tuple[Request, Answer]:
    """A request for an asset of a page, and its answer."""
    return _made(f"/s/{page}/a{asset}.css", ORIGIN + path(page), address, connection)


def _made(
    target: str, referer: str, address: str, connection: int | None
) -> tuple[Request, Answer]:
    """Made as the middleware would, of strings that are there."""
    request = Request(
        origin=ORIGIN,
        target=target,
        address=address,
        user_agent="",
        referer=referer,
        connection=connection,
        destination="style",
        mode="no-cors",
    )
    return request, Answer(200, "text/css", CACHEABLE, "", False, 1000)


def measure(action: Callable[[int], object], times: int = 2000) -> float:
    """The median of so many calls, in microseconds."""
    taken = []
    for number in range(times):
        start = perf_counter_ns()
        action(number)
        taken.append(perf_counter_ns() - start)
    return median(taken) / 1000


def costs() -> dict[str, float]:
    """Each median by its name."""
    learner = built()
    now = 1000.0

    def page(number: int) -> None:
        address = f"10.9.{number // 250}.{number % 250}"
        request = Request(ORIGIN, path(number % PAGES), address, destination="document")
        view = learner.begin(request, now)
        learner.complete(request, HTML, view, now)

    def recomputed(number: int) -> None:
        learner.never(f"/never{number}.css")
        learner.candidates(ORIGIN, path(number % PAGES))

    targets = [f"/s/5/a{asset}.css" for asset in range(ASSETS)]
    referer = ORIGIN + path(5)

    def made(number: int) -> tuple[Request, Answer]:
        return _made(targets[number % ASSETS], referer, "10.8.0.1", 7)

    def call(_: int) -> None:
        request = Request(
            ORIGIN, "/api", "10.8.0.1", referer=referer, connection=7, destination="empty"
        )
        answer = Answer(200, "application/json", "no-store")
        learner.complete(request, answer, learner.begin(request, now), now)

    def asset(number: int) -> None:
        request, answer = made(number)
        learner.complete(request, answer, learner.begin(request, now), now)

    for number in range(PAGES):
        learner.candidates(ORIGIN, path(number))
    figures = {
        "making a Request and an Answer": measure(made),
        "a page with 20 candidates": measure(page, PAGES),
    }
    learner.sync(now + 60.0)
    now += 60.0
    view_request = Request(ORIGIN, path(5), "10.8.0.1", connection=7, destination="document")
    learner.complete(view_request, HTML, learner.begin(view_request, now), now)
    figures["no page: a call of an API"] = measure(call)
    figures["no page: a known asset of a live view"] = measure(asset)
    figures["a page's candidates after the map changed"] = measure(recomputed, PAGES)
    return figures


if __name__ == "__main__":
    for name, microseconds in costs().items():
        print(f"{name:45} {microseconds:6.1f} µs")
