"""The figures of docs/learning.md: `python -m tests.learn.figures [FOLDER]`, as Markdown.

Replays each trace with the defaults, beside Jetty's filter and sending everything; then the
learner alone with one option changed at a time, to show how much hangs on each.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from headstart.learn import LearnOptions
from headstart.learn.logs import LogFile
from headstart.learn.replay import Replay, Score
from tests.learn import traces

VARIATIONS: tuple[dict[str, Any], ...] = (
    {},
    {"likely": 0.4},
    {"likely": 0.6},
    {"renders": 0.15},
    {"renders": 0.35},
    {"worth": 0.25},
    {"worth": 0.5},
    {"memory": 16},
    {"memory": 64},
    {"misses": 3},
    {"misses": 8},
    {"break_even": 128 * 1024},
    {"break_even": 512 * 1024},
    {"window": 1.0},
    {"window": 4.0},
    {"max_assets": 64},
)


def main(folder: Path) -> None:
    """Prints both tables."""
    paths = [folder / name for name in traces.NAMES]
    for path in paths:
        scores = Replay().run(LogFile(path))
        print(f"\n### {path.name}\n")
        print(f"{scores[0].views} views, {scores[0].rendering} of them rendering, ", end="")
        print(f"{scores[0].real} real sub-requests.\n")
        print("| | recall | precision | precision, rendering views | wasted MB | wasted share |")
        print("|---|---|---|---|---|---|")
        for score in scores:
            print(_row(score))
    print("\n### One option changed\n")
    print("| option | " + " | ".join(path.name.split("_")[0] for path in paths) + " |")
    print("|---" * (len(paths) + 1) + "|")
    for changed in VARIATIONS:
        options = replace(LearnOptions(), **changed)
        cells = [_cell(Replay(options).run(LogFile(path))[0]) for path in paths]
        name = ", ".join(f"{key} {value:g}" for key, value in changed.items())
        print(f"| {name or 'defaults'} | " + " | ".join(cells) + " |")


def _row(score: Score) -> str:
    if not score.sent:
        return f"| {score.name} | .000 | nothing sent | nothing sent | 0.00 | |"
    return (
        f"| {score.name} | {score.recall:.3f} | {score.precision:.3f} "
        f"| {score.rendering_precision:.3f} | {score.wasted_bytes / 1e6:.2f} "
        f"| {score.wasted_share:.3f} |"
    )


def _cell(score: Score) -> str:
    """Recall / precision / precision on rendering views / wasted MB."""
    return (
        f"{score.recall:.3f} / {score.precision:.2f} / {score.rendering_precision:.2f} "
        f"/ {score.wasted_bytes / 1e6:.1f}"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else traces.folder())
