"""The figures of docs/learning.md as Markdown: `python -m tests.replay.figures [--live] [NAME...]`.

Replays each trace with the defaults: the real middleware with hints and with pushes, the map alone,
its rivals and the bound. `--live` is the middleware with hints alone, one line for each trace.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from headstart.learn.logs import LogFile
from headstart.replay import Mode, Score
from headstart.replay.replay import Replay
from tests.replay import traces


def main(arguments: Sequence[str]) -> None:
    """Print a table for each trace, or one for all."""
    names = [name for name in arguments if not name.startswith("-")]
    paths = [
        traces.folder() / name
        for name in traces.NAMES
        if not names or any(name.startswith(wanted) for wanted in names)
    ]
    brief = "--live" in arguments
    head = "| | recall | precision | rendering views | transferred MB | used share |\n"
    head += "|---|---|---|---|---|---|"
    if brief:
        print(head)
    for path in paths:
        if brief:
            score = Replay(rivals=False).run(LogFile(path))[0]
            print(_row(score, path.name.partition("_")[0].partition(".")[0]), flush=True)
            continue
        live, *others = Replay(oracle=True).run(LogFile(path))
        pushed = Replay(rivals=False, mode=Mode.PUSH).run(LogFile(path))[0]
        print(f"\n### {path.name}\n")
        print(f"{live.views} views, {live.rendering} of them rendering, ", end="")
        print(f"{live.real} real sub-requests.\n")
        print(head)
        print(_row(live, "Headstart, hints"))
        print(_row(pushed, "Headstart, pushes"))
        for score in others:
            print(_row(score), flush=True)


def _row(score: Score, name: str = "") -> str:
    return (
        f"| {name or score.name} | {score.recall:.3f} | {score.precision:.3f} "
        f"| {score.rendering_precision:.3f} | {score.sent_bytes / 1e6:.1f} "
        f"| {1.0 - score.wasted_share:.3f} |"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
