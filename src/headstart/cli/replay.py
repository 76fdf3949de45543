"""`headstart replay`: what would have been sent for a log, and how much of it was right.

Reads logs, changes nothing unless it is told where to save what was learned. Loaded by the group
when it is called; the judging is `learn.replay`'s.
"""

from __future__ import annotations

import heapq
import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from headstart.cli import terminal
from headstart.cli.options import LEARN, derived, taken
from headstart.cli.terminal import Column, count, printable, say, warn
from headstart.errors import ConfigurationError
from headstart.learn import LearnOptions, PageRecord, Rule, Standing
from headstart.learn.logs import LogFile, LogLine
from headstart.learn.replay import Replay, Score
from headstart.store import offline

_FORMATS = "combined access logs, JSON lines, HAR files and Headstart's traces, plain or gzip"
# A log has no control views, and its Referer has no other name.
_NOT_OFFERED = ("control_share", "referer_header")
# Lines between two looks at how far it is.
_STEP = 500
# Origins that are named when they are saved.
_NAMED = 3


def _replay(
    files: tuple[str, ...], as_json: bool, save: str | None, origin: str | None, **learning: Any
) -> None:
    options = LearnOptions(**taken(learning, LearnOptions, LEARN))
    if origin is not None:
        origin = _checked(origin, save)
    logs = [_log(Path(file)) for file in files]
    replay = Replay(options)
    scores = replay.run(_watched(logs))
    for file, log in zip(files, logs, strict=True):
        _check_read(file, log)
    records = _at(list(replay.learner.export()), origin) if save else []
    if save:
        offline.tell(records, Path(save), warn=warn, options=options)
    if as_json:
        click.echo(json.dumps(_plain(files, logs, scores), indent=2))
    else:
        _print_report(files, logs, scores)
        if save:
            _print_saved(records, save)


# Reading


def _log(path: Path) -> LogFile:
    if not path.exists():
        raise ConfigurationError(
            f"{printable(str(path))} does not exist", hint="Give the path of an access log."
        )
    return LogFile(path)


def _in_order(logs: list[LogFile]) -> Iterator[LogLine]:
    """All lines, by time where there are several files: logs are rotated, and servers many."""
    return iter(logs[0]) if len(logs) == 1 else heapq.merge(*logs, key=_time)


def _time(line: LogLine) -> float:
    return line.time


def _check_read(file: str, log: LogFile) -> None:
    """Raises ConfigurationError where a file held nothing that could be read."""
    if not log.lines:
        raise ConfigurationError(f"{printable(file)} is empty", hint="Give a log with requests.")
    if log.broken == log.lines:
        raise ConfigurationError(
            f"nothing in {printable(file)} could be read as a log", hint=f"Known are {_FORMATS}."
        )


def _watched(logs: list[LogFile]) -> Iterator[LogLine]:
    """All lines, with a bar on standard error where that is a terminal."""
    lines = _in_order(logs)
    if not sys.stderr.isatty():
        yield from lines
        return
    size = sum(log.size for log in logs)
    with click.progressbar(length=max(size, 1), label="Replaying", file=sys.stderr) as bar:
        for number, line in enumerate(lines):
            if number % _STEP == 0:
                bar.update(max(0, sum(log.position for log in logs) - bar.pos))
            yield line
        bar.update(size - bar.pos)


# Saying

_COLUMNS = (
    Column("", least=10),
    Column("recall", right=True),
    Column("precision", right=True),
    Column("rendering", right=True),
    Column("sent", right=True),
    Column("wasted", right=True),
    Column("of bytes", right=True),
)
_LEGEND = """
recall: of what clients asked for after a page, how much was sent ahead
precision: of what was sent, how much was asked for; rendering: where the client fetched anything
wasted: bytes sent and not asked for, and their part of all bytes sent"""


def _print_report(files: tuple[str, ...], logs: list[LogFile], scores: list[Score]) -> None:
    for file, log in zip(files, logs, strict=True):
        say(f"{printable(file)}: {count(log.lines, 'line')}, {log.broken:,} could not be read")
    first = scores[0]
    views = f"{count(first.views, 'page view')}, {first.rendering:,} of them with sub-requests"
    say(f"{views}; {count(first.real, 'sub-request')} to foresee\n")
    lines = terminal.table(_COLUMNS, [_cells(score) for score in scores], terminal.width())
    for number, line in enumerate(lines):
        say(line, bold=number == 1)
    say(_LEGEND)


def _cells(score: Score) -> tuple[str, ...]:
    return (
        score.name,
        _share(score.recall, score.real),
        _share(score.precision, score.sent),
        _share(score.rendering_precision, score.rendering_sent),
        f"{score.sent:,}",
        _size(score.wasted_bytes),
        _share(score.wasted_share, score.sent_bytes),
    )


def _share(share: float, of: int) -> str:
    """A share, or nothing to say where it is one of nothing."""
    return f"{share:.1%}" if of else "-"


def _size(size: int) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if size < 10_000:
            return f"{size:,} {unit}"
        size = round(size / 1000)
    return f"{size:,} TB"


def _plain(files: tuple[str, ...], logs: list[LogFile], scores: list[Score]) -> dict[str, Any]:
    return {
        "files": [
            {"file": file, "format": log.format, "lines": log.lines, "unread": log.broken}
            for file, log in zip(files, logs, strict=True)
        ],
        "scores": [_plain_score(score) for score in scores],
    }


def _plain_score(score: Score) -> dict[str, Any]:
    """A score with its shares; null where a share is one of nothing."""
    return {
        "name": score.name,
        "recall": score.recall if score.real else None,
        "precision": score.precision if score.sent else None,
        "rendering_precision": score.rendering_precision if score.rendering_sent else None,
        "wasted_share": score.wasted_share if score.sent_bytes else None,
        "views": score.views,
        "rendering_views": score.rendering,
        "subrequests": score.real,
        "foreseen": score.foreseen,
        "sent": score.sent,
        "used": score.used,
        "revalidated": score.revalidated,
        "sent_bytes": score.sent_bytes,
        "wasted_bytes": score.wasted_bytes,
    }


# Saving


def _at(records: list[PageRecord | Rule], origin: str | None) -> list[PageRecord | Rule]:
    """The records with the site's own origin instead of the log's name for it."""
    if origin is None:
        return records
    host = _bare(origin)
    views: Counter[str] = Counter()
    for record in records:
        if isinstance(record, PageRecord) and record.level is Standing.SITE:
            views[record.origin] = round(record.views)
    same = [found for found in views if _bare(found) == host]
    meant = same or [found for found, _ in views.most_common(1)]
    return [
        replace(record, origin=origin)
        if isinstance(record, PageRecord) and record.origin in meant
        else record
        for record in records
    ]


def _checked(origin: str, save: str | None) -> str:
    if not save:
        raise ConfigurationError(
            "--origin is for what is saved", hint="Give --save too, or leave it out."
        )
    parts = urlsplit(origin)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.path not in ("", "/"):
        raise ConfigurationError(
            f"{printable(origin)} is no origin", hint="Give it as in https://www.example.org."
        )
    return f"{parts.scheme}://{parts.netloc}".lower()


def _bare(origin: str) -> str:
    return origin.partition("://")[2].removeprefix("www.")


def _print_saved(records: list[PageRecord | Rule], save: str) -> None:
    pages = [record for record in records if isinstance(record, PageRecord)]
    origins = sorted({record.origin for record in pages})
    known = sum(record.level is Standing.PAGE for record in pages)
    where = ", ".join(map(printable, origins[:_NAMED])) or "no origin"
    if len(origins) > _NAMED:
        where += f" and {count(len(origins) - _NAMED, 'more origin')}"
    say(f"\n{count(known, 'page')} of {where} saved to {printable(save)}")
    say(f"Serve with them: headstart serve main:app --store {printable(save)}")


command = click.Command(
    "replay",
    callback=_replay,
    short_help="See what would have been sent for a log.",
    help=f"""Learn from logs, view by view, and say what would have been sent with each page, and
    how much of that was right; beside it what Jetty's filter, and sending everything that was ever
    asked for with a page, would have come to. Each view is foreseen before anything is learned from
    it.

    FILE is one of {_FORMATS}; several are merged by time.""",
    params=[
        click.Argument(["files"], nargs=-1, required=True, metavar="FILE..."),
        click.Option(["--json", "as_json"], is_flag=True, help="Print JSON."),
        click.Option(
            ["--save"],
            type=click.Path(dir_okay=False),
            metavar="STORE",
            help="Add what was learned to this file, for `headstart serve --store STORE`.",
        ),
        click.Option(
            ["--origin"],
            metavar="URL",
            help="With --save: the site's origin as clients ask for it, for instance "
            "https://www.example.org; a log rarely tells.",
        ),
        *derived(LearnOptions, LEARN, without=_NOT_OFFERED),
    ],
)
