"""A flood of distinct URLs and Referers, and what the learner takes in it.

`python -m tests.learn.flood REQUESTS` prints by how many bytes the process grew: a process of its
own, without a tracer. A million requests take minutes.
"""

from __future__ import annotations

import sys
from pathlib import Path

from headstart.learn import Learner, LearnOptions, Request
from tests.learn.site import HTML, ORIGIN, asset_answer

_ANSWER = asset_answer("/a.css")


def flood(learner: Learner, requests: int, length: int, assets: int) -> None:
    """Distinct pages with so many distinct assets each: every URL and every Referer is a new one,
    and so is every client and its user agent.
    """
    filler = "x" * length
    for number in range(requests // (assets + 1)):
        now = number * 0.01
        address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        path = f"/{number % 97}/p{number}{filler}"
        agent = f"agent {number} {filler}"
        page = Request(ORIGIN, path, address, user_agent=agent, destination="document")
        learner.complete(page, HTML, learner.begin(page, now), now)
        for asset in range(assets):
            request = Request(
                origin=ORIGIN,
                target=f"/s/{number}/{asset}{filler}.css",
                address=address,
                user_agent=agent,
                referer=ORIGIN + path,
                destination="style",
            )
            learner.complete(request, _ANSWER, None, now)
        if number % 100 == 0:
            learner.sync(now)
            learner.begin(page, now)


def _peak() -> int:
    """The most memory that this process held so far; getrusage would tell its parent's."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise OSError("this system does not say how much memory a process held")


def main() -> None:
    """Print the growth; the first few requests pay for what is loaded late."""
    flood(Learner(LearnOptions()), 400, 20, 3)
    before = _peak()
    flood(Learner(LearnOptions()), int(sys.argv[1]), 20, 3)
    print(_peak() - before)


if __name__ == "__main__":
    main()
