"""`headstart replay`: play a log through the server, and score it.

Reads logs, changes nothing unless it is told where to save the learned data. Loaded by the group
when it is called; `headstart.replay` does the scoring.
"""

from __future__ import annotations

import gc
import heapq
import json
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import click

from headstart.cli import terminal
from headstart.cli.options import DELIVER, LEARN, FloatRange, derived, taken
from headstart.cli.stores import STORE_TYPE, as_place
from headstart.cli.terminal import Column, count, named, printable, say, warn
from headstart.config import DeliverOptions
from headstart.errors import ConfigurationError
from headstart.hosts import ascii_host
from headstart.learn import LearnOptions, Level, PageRecord, Rule, SiteIcon
from headstart.learn.logs import LogFile, LogFormat, LogLine, Pattern
from headstart.replay import Assumptions, Mode, Score
from headstart.store import Place, offline

_FORMATS = (
    "combined access logs, JSON lines, HAR files, the logs of IIS, CloudFront and HAProxy, and "
    "Headstart's traces, plain or compressed"
)
_KNOWN = f"Known are {_FORMATS}. Say with --format how other lines are written."
_NAMES = (
    "Each needs a time, a status and a URL, named as one of the servers in docs/map.md names them. "
    "nginx's names are time_iso8601, status and request_uri."
)
_ADD_REFERER = {
    LogFormat.COMBINED: "Let the server write the combined format instead of the common one.",
    LogFormat.JSON_LINES: "Let the server add the request's Referer to each line.",
    LogFormat.W3C: "Let the server add cs(Referer) to the fields that it logs.",
    LogFormat.BALANCER: "AWS's load balancers log none. Give the logs of the servers behind them.",
    LogFormat.HTTPLOG: "Let HAProxy capture it: http-request capture req.hdr(referer) len 512.",
    LogFormat.GIVEN: "Let the server add $http_referer, or %{Referer}i, to the format.",
    LogFormat.HAR: "Save the archive with the fields of the requests.",
    LogFormat.TRACE: "Give a trace that has them.",
}
_UNREAD = {
    LogFormat.GIVEN: "Give --format as the server wrote this file.",
    LogFormat.JSON_LINES: _NAMES,
}
_REFERERS_ARE_EMPTY = (
    "the lines of {} have no Referer, which learning needs. Each is empty: a proxy in front "
    "removes it, or the site sends Referrer-Policy: no-referrer. With same-origin, browsers send "
    "it to the site itself"
)
_Saved: TypeAlias = PageRecord | Rule | SiteIcon
_STANDARD_INPUT = "-"
# A log's Referer has no other name.
_NOT_LEARN = ("referer_header",)
# A log does not say how long a page took, nor which cookies were there.
_NOT_DELIVER = ("min_think_time", "hint_http1", "links", "cookie")
# Objects after which cycles are looked for.
_COLLECTED = 100_000
# Lines between two looks at how far it is.
_STEP = 500
# Origins that are named when they are saved.
_NAMED = 3
# The part of a log's Referers that have to agree on the site's origin.
_NEARLY_ALL = 0.9
_ORIGIN = re.compile(r"https?://(?:[\w.-]+|\[[0-9a-f:]+\])(?::\d{1,5})?", re.ASCII)


def _replay(
    files: tuple[str, ...],
    as_json: bool,
    mode: str,
    lifetime: float,
    idle: float,
    think_time: float,
    oracle: bool,
    save: Place | None,
    origin: str | None,
    form: str | None,
    **given: Any,
) -> None:
    options = LearnOptions(**taken(given, LearnOptions, LEARN))
    deliver = DeliverOptions(**taken(given, DeliverOptions, DELIVER), min_think_time=0.0)
    assumed = Assumptions(lifetime=lifetime, idle=idle, think_time=think_time)
    if origin is not None:
        origin = _checked(origin, save)
    if save:
        offline.check(save)
    if files.count(_STANDARD_INPUT) > 1:
        raise ConfigurationError("standard input can be read once", hint="Give - once.")
    pattern = Pattern(form) if form is not None else None
    from headstart.replay.replay import Replay

    replay = Replay(options, deliver=deliver, mode=Mode(mode), assumptions=assumed, oracle=oracle)
    with ExitStack() as opened:
        logs = [opened.enter_context(_log(file, pattern)) for file in files]
        opened.enter_context(_few_collections())
        scores = replay.run(_watched(logs))
    for file, log in zip(files, logs, strict=True):
        _check_read(file, log)
        if log.damage:
            warn(f"{file} is cut off or damaged, and is used up to there: {log.damage}")
    _warn_of_referers(files, logs, scores[0])
    named, referring = _named_by_referers(logs)
    records = _at(list(replay.learner.export()), origin, named) if save else []
    if save:
        offline.tell(records, save, warn=warn, options=options)
    saved = _saved(records, save, replay.unlearned, referring) if save else None
    if as_json:
        plain = _plain(files, logs, scores, mode, assumed)
        if saved is not None:
            plain["saved"] = saved
        click.echo(json.dumps(plain, indent=2))
    else:
        _print_report(files, logs, scores, mode, assumed)
        if saved is not None:
            _print_saved(saved)


@contextmanager
def _few_collections() -> Iterator[None]:
    """Look for cycles seldom: a long log leaves millions of objects and none of these."""
    before = gc.get_threshold()
    gc.set_threshold(_COLLECTED, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


# Reading


def _log(file: str, pattern: Pattern | None) -> LogFile:
    if file == _STANDARD_INPUT:
        return LogFile(Path(file), sys.stdin.buffer, pattern)
    path = Path(file)
    # An empty name would be the current folder.
    if not file or not path.exists():
        raise ConfigurationError(
            f"{named(file)} does not exist", hint="Give the path of an access log."
        )
    return LogFile(path, pattern=pattern)


def _in_order(logs: list[LogFile]) -> Iterator[LogLine]:
    """All lines, by time where there are several files: logs are rotated, and servers many."""
    return iter(logs[0]) if len(logs) == 1 else heapq.merge(*logs, key=attrgetter("time"))


def _check_read(file: str, log: LogFile) -> None:
    """Raise ConfigurationError if a file held nothing readable."""
    if not log.lines:
        raise ConfigurationError(f"{printable(file)} is empty", hint="Give a log with requests.")
    if log.bare_format is not None and not log.has_referer:
        raise ConfigurationError(
            f"the lines of {printable(file)} are in {log.bare_format.name}, which has no Referer, "
            "and learning needs it",
            hint=log.bare_format.advice,
        )
    if log.broken == log.lines:
        raise ConfigurationError(
            f"nothing in {printable(file)} could be read as a log{_such_as(log.unread)}",
            hint=_UNREAD.get(log.format, _KNOWN),
        )
    if not log.names_referer:
        raise ConfigurationError(
            f"the lines of {printable(file)} have no Referer, which learning needs",
            hint=_ADD_REFERER[log.format],
        )


def _warn_of_referers(files: tuple[str, ...], logs: list[LogFile], score: Score) -> None:
    """Warn if assets were asked for, and no Referer says of which page."""
    if score.real or any(log.has_referer for log in logs):
        return
    if any(log.has_assets for log in logs):
        which = files[0] if len(files) == 1 else "the logs"
        warn(_REFERERS_ARE_EMPTY.format(which))


def _such_as(line: str) -> str:
    return f", for instance the line that begins with {line}" if line and line.isprintable() else ""


def _watched(logs: list[LogFile]) -> Iterator[LogLine]:
    """All lines, with a bar on standard error where that is a terminal."""
    lines = _in_order(logs)
    if not sys.stderr.isatty() or not all(log.size for log in logs):
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
Headstart: what the server sends, {how}.
  Its budgets and control views hold, a connection ends after {idle:,.0f} s of silence, a page
  takes {think_time:g} s to answer, and assets whose cache headers the log does not have are fresh
  for {lifetime:,.0f} s.
the map alone: what the server knows, if nothing were delivered and there were no budgets
recall: of what clients asked for after a page, how much was sent ahead
precision: of what was sent, how much was asked for; rendering: where the client fetched anything
wasted: bytes sent and not asked for, and their part of all bytes sent"""
_HOW = {
    Mode.HINT: "in a 103, to clients that fetch what they lack of it",
    Mode.PUSH: "in pushes, to clients that cancel what they have of it",
}

_WITH_LIFETIMES = (
    '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent '
    '"$http_referer" "$http_user_agent" "$sent_http_cache_control"'
)
# A field behind the agent is not taken for the header without being told: a client can write
# anything into X-Forwarded-For, which stands there as often.
_UNLEARNED = f"""\
Not saved: {{}} with a query, because the log does not show that all clients share them.
  Each needs requests from three addresses with two user agents, and an image a 304 as well, and
  more clients than other queries of its path. The live traffic of headstart serve and headstart
  proxy teaches those with a max-age. So does a log that nginx writes with
    log_format headstart '{_WITH_LIFETIMES}';
    access_log /var/log/nginx/headstart.log headstart;
  and that is read with
    headstart replay --format '{_WITH_LIFETIMES}' --save STORE headstart.log"""


def _print_report(
    files: tuple[str, ...],
    logs: list[LogFile],
    scores: list[Score],
    mode: str,
    assumed: Assumptions,
) -> None:
    for file, log in zip(files, logs, strict=True):
        say(f"{printable(file)}: {count(log.lines, 'line')}, {log.broken:,} could not be read")
    first = scores[0]
    views = f"{count(first.views, 'page view')}, {first.rendering:,} of them with sub-requests"
    say(f"{views}; {count(first.real, 'sub-request')} to foresee\n")
    lines = terminal.table(_COLUMNS, [_cells(score) for score in scores], terminal.width())
    for number, line in enumerate(lines):
        say(line, bold=number == 1)
    say(f"\nRequests saved: {first.foreseen:,} of {first.real:,} were sent ahead or hinted")
    say(_LEGEND.format(how=_HOW[Mode(mode)], **asdict(assumed)))


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
    """Return a share as text, or `-` for a share of nothing."""
    return f"{share:.1%}" if of else "-"


def _size(size: int) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if size < 10_000:
            return f"{size:,} {unit}"
        size = round(size / 1000)
    return f"{size:,} TB"


def _plain(
    files: tuple[str, ...],
    logs: list[LogFile],
    scores: list[Score],
    mode: str,
    assumed: Assumptions,
) -> dict[str, Any]:
    return {
        "files": [
            {
                "file": file,
                "format": log.format,
                "lines": log.lines,
                "unread": log.broken,
                "damage": log.damage or None,
            }
            for file, log in zip(files, logs, strict=True)
        ],
        "mode": mode,
        "assumed": asdict(assumed),
        "scores": [_plain_score(score) for score in scores],
    }


def _plain_score(score: Score) -> dict[str, Any]:
    """Return a score with its shares; null for a share of nothing."""
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


def _at(records: list[_Saved], origin: str | None, named: dict[str, str]) -> list[_Saved]:
    """Return the records with their site's own origin instead of the log's name for it.

    Args:
        origin: The one that the user gave.
        named: What Referers call the origins of the log.
    """
    own = named if origin is None else dict.fromkeys(_meant(records, origin), origin)
    return [
        replace(record, origin=own[record.origin])
        if isinstance(record, PageRecord | SiteIcon) and record.origin in own
        else record
        for record in records
    ]


def _meant(records: list[_Saved], origin: str) -> list[str]:
    """Return the origins of the log that are the user's: of that host, or else the busiest."""
    host = _bare(origin)
    views: Counter[str] = Counter()
    for record in records:
        if isinstance(record, PageRecord) and record.level is Level.SITE:
            views[record.origin] = round(record.views)
    same = [found for found in views if _bare(found) == host]
    return same or [found for found, _ in views.most_common(1)]


def _checked(origin: str, save: Place | None) -> str:
    if not save:
        raise ConfigurationError(
            "--origin is for what is saved", hint="Give --save too, or leave it out."
        )
    parts = urlsplit(origin)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.path not in ("", "/"):
        raise ConfigurationError(
            f"{printable(origin)} is not an origin", hint="Give it as in https://www.example.org."
        )
    name, colon, port = parts.netloc.lower().partition(":")
    return f"{parts.scheme}://{ascii_host(name)}{colon}{port}"


def _bare(origin: str) -> str:
    return origin.partition("://")[2].removeprefix("www.")


def _named_by_referers(logs: list[LogFile]) -> tuple[dict[str, str], str]:
    """Return how nearly all Referers of each site name its origin, by its origin in the log.

    The busiest site's comes second, too: "" if its Referers name several.
    """
    sites: dict[str, Counter[str]] = defaultdict(Counter)
    for log in logs:
        for (site, origin), times in log.own_referers.items():
            sites[site][origin] += times
    named = {}
    for site, origins in sites.items():
        origin, times = origins.most_common(1)[0]
        # It is shown as a part of a command, and anybody can have sent it.
        if times >= _NEARLY_ALL * origins.total() and _ORIGIN.fullmatch(origin):
            named[site] = origin
    busiest = max(sites, key=lambda site: sites[site].total(), default="")
    return named, named.get(busiest, "")


def _saved(records: list[_Saved], save: Place, unlearned: int, referring: str) -> dict[str, Any]:
    """Return the facts about what was saved."""
    pages = [record for record in records if isinstance(record, PageRecord)]
    return {
        "store": str(save),
        # Those that `headstart map` shows.
        "pages": sum(each.level is Level.PAGE and bool(each.assets) for each in pages),
        "origins": sorted({record.origin for record in pages}),
        "assets_left_out": unlearned,
        "referers_name": referring or None,
    }


def _print_saved(saved: dict[str, Any]) -> None:
    origins, place = saved["origins"], printable(saved["store"])
    where = ", ".join(map(printable, origins[:_NAMED]))
    if len(origins) > _NAMED:
        where += f" and {count(len(origins) - _NAMED, 'more origin')}"
    if origins:
        say(f"\n{count(saved['pages'], 'page')} of {where} saved to {place}")
    else:
        say(f"\nNothing saved to {place}: no client requested assets after a page.")
    if unlearned := saved["assets_left_out"]:
        say(_UNLEARNED.format(count(unlearned, "asset")))
    if not origins:
        return
    referring = saved["referers_name"]
    if referring and referring not in origins:
        say(f"The log's Referers name {referring}: --origin {referring} saves it for that origin.")
    say(f"Serve with them: headstart serve main:app --store {place}")
    say(f"Or send them with nginx and others: headstart map export --format nginx --store {place}")


command = click.Command(
    "replay",
    callback=_replay,
    short_help="Play an access log, and show the requests saved.",
    help=f"""Play logs through the server, view by view, and say what it would have sent with each
    page, and how much of that was right. Each client is taken for a browser that follows hints and
    has a cache, and each view is foreseen before anything is learned from it. Below that: what the
    map alone would have said, what Jetty's filter would have sent, and everything that was ever
    asked for with a page.

    FILE is one of {_FORMATS}; several are merged by time. - is standard input.

    \b
    headstart replay access.log
    headstart replay access.log access.log.1.gz --save map.sqlite3""",
    params=[
        click.Argument(["files"], nargs=-1, required=True, metavar="FILE..."),
        click.Option(["--json", "as_json"], is_flag=True, help="Print JSON."),
        click.Option(
            ["--format", "form"],
            metavar="FORMAT",
            help="How lines are written that are not recognised: nginx's log_format or Apache's "
            "LogFormat, as it stands in the configuration. Leave it out for the formats above.",
        ),
        click.Option(
            ["--mode"],
            type=click.Choice([mode.value for mode in Mode]),
            default=Mode.HINT.value,
            show_default=True,
            help="Send in a 103, as to browsers, or push, as to programs.",
        ),
        click.Option(
            ["--lifetime"],
            type=FloatRange(1),
            default=Assumptions().lifetime,
            show_default=True,
            help="Seconds for which an asset is fresh if the log does not tell.",
        ),
        click.Option(
            ["--idle"],
            type=FloatRange(1),
            default=Assumptions().idle,
            show_default=True,
            help="Seconds of silence after which a client's connection ends.",
        ),
        click.Option(
            ["--think-time"],
            type=FloatRange(0),
            default=Assumptions().think_time,
            show_default=True,
            help="Seconds that each page takes to answer, which is what pushes have.",
        ),
        click.Option(
            ["--oracle"],
            is_flag=True,
            help="Show the bound too: the figures of a server that knows the statistics of each "
            "page beforehand. It keeps all page views in memory.",
        ),
        click.Option(
            ["--save"],
            type=STORE_TYPE,
            callback=as_place,
            metavar="STORE",
            help="Add what was learned to this file, or to the Redis server of this URL, for "
            "`headstart serve --store STORE`.",
        ),
        click.Option(
            ["--origin"],
            metavar="URL",
            help="With --save: the site's origin as clients ask for it, for instance "
            "https://www.example.org. By default it is the one that nearly all Referers name.",
        ),
        *derived(LearnOptions, LEARN, without=_NOT_LEARN),
        *derived(DeliverOptions, DELIVER, without=_NOT_DELIVER),
    ],
)
