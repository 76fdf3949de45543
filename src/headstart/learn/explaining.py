"""The gain in words, for the operator.

Pure. Called by the middleware for the log, and by `headstart map --why`.
"""

from __future__ import annotations

from collections.abc import Iterator

from headstart.figures import time
from headstart.learn.gains import FEWEST, Gain, Metric, Saving, Stop

UNTIL = {
    Metric.BLOCKING: "the last stylesheet, script or font",
    Metric.LOADED: "the last asset",
    Metric.FCP: "First Contentful Paint, as browsers report it",
    Metric.LCP: "Largest Contentful Paint, as browsers report it",
    Metric.LOAD: "the load event, as browsers report it",
}
"""The event to which each metric measures, in words."""


def explain_gain(gain: Gain) -> Iterator[str]:
    """Yield in words how much time is saved on a page or a site, and why a page is stopped."""
    if gain.stop is not None:
        yield explain_stop(gain.stop)
    if not gain.savings:
        yield (
            f"The gain is not known yet: it takes {FEWEST} views of each sort, and so far there "
            f"are {gain.views:,.0f} with assets sent ahead and {gain.control_views:,.0f} without."
        )
    for metric, saving in gain.savings.items():
        yield f"{_saved(saving)} until {UNTIL[metric]}"


def explain_stop(stop: Stop) -> str:
    """Return in words why a page gets nothing ahead, or gets it again."""
    by = f"{time(stop.seconds)} (95 %: {time(stop.low)} to {time(stop.high)})"
    if stop.stopped:
        return (
            f"Nothing is sent ahead any more, since views that got something took longer by {by}. "
            "Few views still get it, to notice when that changes."
        )
    return f"Assets are sent ahead again, since views that got them were there sooner by {by}."


def interval(saving: Saving) -> str:
    """Return the interval of 95 % as text: `80 ms to 160 ms`."""
    return f"{signed(saving.low)} to {signed(saving.high)}"


def signed(seconds: float) -> str:
    """Return a difference of times as text: `120 ms`, `-1.20 s`."""
    return f"-{time(-seconds)}" if seconds < 0 else time(seconds)


def _saved(saving: Saving) -> str:
    verb = "costs" if saving.seconds < 0 else "saves"
    return f"Sending ahead {verb} {time(abs(saving.seconds))} (95 %: {interval(saving)})"
