"""`headstart map`: show, correct and move the learned data.

Reads and changes the store, through `store.offline`, with or without running servers: those
obey at their next exchange with it. Loaded by the group when it is called.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import IO, Any

import click

from headstart.cli import gains, terminal
from headstart.cli.options import LEARN, derived, taken
from headstart.cli.stores import STORE_TYPE, as_place
from headstart.cli.terminal import Column, count, named, printable, say, warn
from headstart.deliver.rows import (
    all_rows,
    because,
    gain_of,
    is_waste,
    reasons_of,
    rows_of,
    split,
)
from headstart.errors import ConfigurationError
from headstart.export import FORMATS, TITLE, configuration, plan_of
from headstart.files import has_other_content, write_whole
from headstart.learn import Judgement, Learner, LearnOptions, Level, PageRecord, Record, Row
from headstart.learn.records import (
    BEGINNING,
    from_plain,
    to_plain,
    unknown_fields,
)
from headstart.learn.urls import path_of
from headstart.reasons import Refusal
from headstart.store import Place, default_path, offline
from headstart.store.ownership import is_database

_STORE_HELP = (
    "File that keeps what was learned, by default in your data folder, or the URL of a Redis "
    "server that several machines share."
)

_WHY_HELP = "Say in words why each asset is sent or not, and what keeps the site from learning."

_NOTHING = (
    "Nothing has been learned yet. It will be kept in {}, and comes from what `headstart serve` or "
    "`headstart proxy` answers, or from a log by `headstart replay --save`."
)

_RECORDS = "json"
_EXPORTED = "Give a file that `headstart map export` wrote."


@dataclass(frozen=True, slots=True)
class _Given:
    """The options given before the page or the command."""

    store: Place | None
    as_json: bool
    options: LearnOptions
    explained: bool = False


class _PageOrCommand(click.Group):
    """A group that shows a page where no command is named."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command: a page begins with a slash, or is a URL; a command does not."""
        if _is_page(args[0]):
            return "", _show, args
        if args[0] not in self.commands:
            commands = ", ".join(self.commands)
            if close := get_close_matches(args[0], self.commands, 1):
                ctx.fail(f"No such command {args[0]!r}. Did you mean {close[0]}?")
            ctx.fail(
                f"{args[0]!r} is neither a page (a path such as /about, or a whole URL) "
                f"nor a command ({commands})."
            )
        return super().resolve_command(ctx, args)


def _page(ctx: click.Context, param: click.Parameter, value: str) -> str:
    """Return a page as given: a path, or a whole URL if there is more than one origin."""
    if not _is_page(value):
        raise click.BadParameter(f"{value!r} is not a page. Give a path such as /about, or a URL.")
    return value


def _is_page(text: str) -> bool:
    return text.startswith(("/", "http://", "https://"))


_store = click.option("--store", type=STORE_TYPE, callback=as_place, help=_STORE_HELP)


def _place(ctx: click.Context, store: Place | None) -> Place:
    given = ctx.find_object(_Given)
    named = store or (given.store if given else None)
    if named is None:
        return default_path()
    offline.check(named)
    return named


# Showing


def _begin(
    ctx: click.Context, store: Place | None, as_json: bool, explained: bool, **learning: Any
) -> None:
    options = LearnOptions(**taken(learning, LearnOptions, LEARN))
    ctx.obj = _Given(store, as_json, options, explained)
    if ctx.invoked_subcommand is None:
        _print_map(_place(ctx, None), ctx.obj, "")


@click.command("show")
@click.argument("page", callback=_page)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--why", "explained", is_flag=True, help=_WHY_HELP)
@_store
@click.pass_context
def _show(
    ctx: click.Context, page: str, as_json: bool, explained: bool, store: Place | None
) -> None:
    """Show one page."""
    given: _Given = ctx.obj
    given = replace(given, as_json=given.as_json or as_json, explained=given.explained or explained)
    _print_map(_place(ctx, store), given, page)


def _print_map(path: Place, given: _Given, page: str) -> None:
    learner = offline.known(path, given.options, warn=warn)
    rows = rows_of(learner, page) if page else all_rows(learner)
    place = printable(str(path))
    if given.as_json:
        click.echo(json.dumps([_plain(learner, row) for row in rows], indent=2))
        return
    if given.explained:
        for line in reasons_of(learner, page, time.time()):
            say(printable(line))
    elif rows:
        _print_rows(rows)
        _print_gains(learner, rows if page else None)
        say(f"\n{_summary(rows)}; kept in {place}")
    elif page:
        say(f"Nothing is known of {printable(page)}; what is known is kept in {place}", err=True)
    else:
        say(_NOTHING.format(place), err=True)


def _print_gains(learner: Learner, rows: list[Row] | None) -> None:
    """Print how much time is saved on the pages of these rows, or on all and their sites."""
    found = list(learner.gains())
    if rows is not None:
        pages = {row.page for row in rows}
        found = [gain for gain in found if gain.page in pages]
    if found:
        title, *lines = terminal.table(gains.COLUMNS, gains.cells_of(found), terminal.width())
        say(f"\n{title}", bold=True)
        for line in lines:
            say(line)


def _plain(learner: Learner, row: Row) -> dict[str, Any]:
    why = Refusal.MOSTLY_WASTE if is_waste(row) else Refusal.SLOWER if row.slower else row.why
    gain = gain_of(learner, row.page)
    cells = asdict(row)
    del cells["slower"]
    return {**cells, "why": why, "gain": gains.plain(gain) if gain is not None else None}


_COLUMNS = (
    Column("page"),
    Column("asset"),
    Column("probability", right=True),
    Column("views", right=True),
    Column("decision"),
    Column("why"),
)
_NARROW = (Column("likely", right=True), Column("views", right=True), Column("send?"))
_GAP = "  "


def _print_rows(rows: list[Row]) -> None:
    """Print a table for each origin, all with equal columns."""
    cells = [_cells(row, before) for before, row in zip([None, *rows], rows, strict=False)]
    lines = terminal.table(_COLUMNS, cells, None)
    room = terminal.width()
    if room is not None and max(map(len, lines)) > room:
        _print_narrow(rows, room)
        return
    origin = None
    for row, line in zip(rows, lines[1:], strict=True):
        if origin != (origin := split(row.page)[0]):
            say(printable(origin) or "every origin", bold=True)
            say(lines[0])
        say(line, dim=not row.sent)


def _print_narrow(rows: list[Row], room: int) -> None:
    """Print tables for a narrow terminal: no asset and no reason is cut.

    Each page stands on a line of its own, and so does why where it does not fit behind its asset.
    """
    lines = terminal.table(_NARROW, [_cells(row, row)[2:5] for row in rows], None)
    assets = max(len(printable(row.asset)) for row in rows)
    one_line = len(lines[0]) + assets + max(map(len, map(because, rows))) + 2 * len(_GAP) <= room
    below = "\n" + " " * (len(lines[0]) + len(_GAP))
    place = page = None
    for row, line in zip(rows, lines[1:], strict=True):
        if place != (place := split(row.page)[0]):
            say(printable(place) or "every origin", bold=True)
            say(f"{lines[0]}{_GAP}asset")
        if page != (page := row.page):
            say(printable(split(page)[1]))
        asset = printable(row.asset)
        end = f"{asset.ljust(assets)}{_GAP}" if one_line else f"{asset}{below}"
        say(f"{line.ljust(len(lines[0]))}{_GAP}{end}{because(row)}", dim=not row.sent)


def _cells(row: Row, before: Row | None) -> tuple[str, ...]:
    same = before is not None and before.page == row.page
    return (
        "" if same else split(row.page)[1],
        row.asset,
        f"{row.probability:.0%}",
        f"{row.views:.0f}" if row.views else "-",
        "send" if row.sent else "no",
        because(row),
    )


def _summary(rows: list[Row]) -> str:
    named = {split(row.page) for row in rows if not row.page.endswith("/*")}
    # A path that is pinned on every origin is not another page where an origin has it.
    of_sites = {path for origin, path in named if origin}
    known = {(origin, path) for origin, path in named if origin or path not in of_sites}
    pages = count(len(known), "page")
    return f"{pages} with {count(len(rows), 'asset')}, {sum(row.sent for row in rows):,} sent"


# The command, and those below it

command = _PageOrCommand(
    "map",
    callback=click.pass_context(_begin),
    invoke_without_command=True,
    subcommand_metavar="[PAGE | COMMAND ...]",
    short_help="Show the assets learned for each page, and correct them.",
    help="""Show what was learned: pages, their assets, what is sent, and why.

    PAGE is a path such as /about, or a whole URL. Without it you see all pages, and the entries of
    similar pages (/product/*) and of the whole site (/*). You can use it while servers run. They
    follow your orders within two seconds.

    The decisions depend on the server's options. If you changed those of learning (--learn-likely
    and so on) for the server, give them here too, before PAGE.
    """,
    params=[
        click.Option(
            ["--store"],
            type=STORE_TYPE,
            callback=as_place,
            envvar=["HEADSTART_MAP_STORE", "HEADSTART_SERVE_STORE"],
            help=_STORE_HELP,
        ),
        click.Option(["--json", "as_json"], is_flag=True, help="Print JSON."),
        click.Option(["--why", "explained"], is_flag=True, help=_WHY_HELP),
        *derived(LearnOptions, LEARN, hidden=True),
    ],
)


@command.command()
@click.argument("page", callback=_page)
@_store
@click.pass_context
def forget(ctx: click.Context, page: str, store: Place | None) -> None:
    """Forget PAGE and its pins; it is learned anew.

    headstart map forget /about
    """
    path = _place(ctx, store)
    if not offline.forget(page, path, warn=warn):
        raise ConfigurationError(
            f"{printable(page)} is not in {printable(str(path))}",
            hint="`headstart map` shows what is.",
        )
    say(f"{printable(page)} is forgotten.")


@command.command()
@click.argument("page", callback=_page)
@click.argument("asset")
@_store
@click.pass_context
def pin(ctx: click.Context, page: str, asset: str, store: Place | None) -> None:
    """Send ASSET with PAGE always, until PAGE is forgotten.

    headstart map pin / /hero.css
    """
    origin, target = split(asset)
    if origin and origin != split(page)[0]:
        raise ConfigurationError(
            f"{printable(asset)} is not on the origin of {printable(page)}",
            hint="Give it as a path such as /site.css; a page is sent what is on its own origin.",
        )
    place = _place(ctx, store)
    offline.pin(page, target, place, warn=warn)
    everywhere = "" if split(page)[0] else " of every origin"
    say(f"{printable(target)} is always sent with {printable(page)}{everywhere}.")
    if unknown := _unknown_of(offline.known(place, warn=warn), page, target):
        say(f"{unknown}; `headstart map` shows the pages and assets that are known.")


def _unknown_of(learner: Learner, page: str, target: str) -> str:
    """Return which of a pin's page and asset was never seen, "" if both or none ever were."""
    origin, path = split(path_of(page))
    # A pin is for one page, not for similar ones.
    pages = [
        each
        for each in learner.export()
        if isinstance(each, PageRecord) and each.level is Level.PAGE
    ]
    if not pages:
        return ""  # nothing is learned yet, so that all names are unknown
    unknown = []
    if not any(each.path == path and origin in ("", each.origin) for each in pages):
        unknown.append(f"{printable(page)} is not a known page so far")
    if not _is_known(learner, origin, target):
        unknown.append(f"{'no' if unknown else 'No'} known page has {printable(target)} so far")
    return ", and ".join(unknown)


@command.command()
@click.argument("asset")
@_store
@click.pass_context
def never(ctx: click.Context, asset: str, store: Place | None) -> None:
    """Never send ASSET, a path or a whole URL, with any page.

    headstart map never /photos/chair.jpg
    """
    place = _place(ctx, store)
    offline.never(asset, place, warn=warn)
    say(f"{printable(asset)} is never sent.")
    if not _is_known(offline.known(place, warn=warn), *split(asset)):
        say("No known page has it so far; `headstart map` shows the assets that are known.")


def _is_known(learner: Learner, origin: str, target: str) -> bool:
    """Return whether an asset of that origin, of any with "", was seen with a page."""
    return any(
        row.asset == target and origin in ("", split(row.page)[0])
        for row in learner.rows()
        if row.why not in (Judgement.PINNED, Judgement.BARRED) or row.views
    )


# Moving


@command.command("export")
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True), default="-")
@click.option(
    "--format",
    "form",
    type=click.Choice([_RECORDS, *FORMATS]),
    default=_RECORDS,
    show_default=True,
    help="json is what `import` reads; the others are configuration that makes such a server send "
    "each page's links.",
)
@click.option(
    "--origin", metavar="URL", help="With another format than json: the site, if there are several."
)
@_store
@click.pass_context
def export(
    ctx: click.Context, file: str, form: str, origin: str | None, store: Place | None
) -> None:
    """Write the map to FILE, or standard output, as JSON lines or for another server.

    An older export in FILE is replaced once the new one is complete; another file is not.

    headstart map export --format nginx headstart.conf
    """
    if file != "-":
        _check_replaceable(file)
    learner = offline.known(_place(ctx, store), ctx.obj.options, warn=warn)
    if form == _RECORDS:
        lines = [json.dumps(to_plain(each), separators=(",", ":")) for each in learner.export()]
        _write(file, "".join(f"{line}\n" for line in lines))
        if written := _written_to(file):
            say(f"{count(len(lines), 'record')}{written}.", err=True)
        return
    made = configuration(plan_of(learner, origin and origin.rstrip("/")), form)
    if not made.pages:
        reason = [f"; {printable(each.page)}: {each.why}" for each in made.left_out[-1:]]
        raise ConfigurationError(
            "there is nothing to export" + "".join(reason),
            hint="`headstart map` shows what is known.",
        )
    _write(file, made.text)
    links = sum(len(page.links) for page in made.pages)
    without = count(len(made.left_out), "entry", "entries")
    said = f"; the comments say why {without} {'is' if len(made.left_out) == 1 else 'are'} left out"
    written = f"{count(len(made.pages), 'page')} with {count(links, 'link')}"
    say(f"{written}{_written_to(file)}{said if made.left_out else ''}.", err=True)


def _check_replaceable(file: str) -> None:
    """Raise ConfigurationError if FILE has content that no export wrote, as an access log."""
    try:
        if is_database(Path(file)):
            raise ConfigurationError(
                f"{printable(file)} is a database, which the export would replace",
                hint="Name another file to write; --store STORE names the map to read.",
            )
        if has_other_content(Path(file), (TITLE.encode(), BEGINNING.encode())):
            raise ConfigurationError(
                f"{printable(file)} is not an export of headstart, so it is left as it is",
                hint="FILE is written, not read: name another one, or remove this one.",
            )
    except OSError as error:
        raise ConfigurationError(
            f"cannot read {named(file)}, which the export would replace: {error.strerror}",
            hint="Name another file.",
        ) from error


def _write(file: str, text: str) -> None:
    if file == "-":
        click.echo(text, nl=False)
        return
    try:
        write_whole(Path(file), text)
    except OSError as error:
        raise ConfigurationError(
            f"cannot write {named(file)}: {error.strerror}",
            hint="Name a file in a folder that you can write to.",
        ) from error


def _written_to(file: str) -> str:
    """Return the words for a file that was written, "" for standard output and devices."""
    return f" written to {printable(file)}" if file != "-" and Path(file).is_file() else ""


@command.command("import")
@click.argument("file", type=click.Path(allow_dash=True))
@_store
@click.pass_context
def import_(ctx: click.Context, file: str, store: Place | None) -> None:
    """Add the records that `export` wrote to FILE (- for standard input).

    headstart map import map.jsonl
    """
    path = _place(ctx, store)
    try:
        with click.open_file(file, encoding="utf-8", errors="replace") as stream:
            records = list(_read(stream, file))
    except OSError as error:
        raise ConfigurationError(
            f"cannot read {named(file)}: {error.strerror}",
            hint=_EXPORTED,
        ) from error
    if not records:
        raise ConfigurationError(f"{printable(file)} is empty", hint=_EXPORTED)
    offline.tell(records, path, warn=warn, options=ctx.obj.options)
    say(f"{count(len(records), 'record')} added to {printable(str(path))}")


def _read(stream: IO[str], name: str) -> Iterator[Record]:
    """Yield the records; warn once of each name of a field that is not known."""
    told = set[str]()
    for number, line in enumerate(stream, 1):
        if not line.strip():
            continue
        try:
            plain = json.loads(line)
            yield from_plain(plain)
        except ConfigurationError as error:
            raise ConfigurationError(
                f"line {number} of {printable(name)} is {error}", hint=error.hint
            ) from error
        except (ValueError, RecursionError) as error:
            raise ConfigurationError(
                f"line {number} of {printable(name)} is not a record of the map",
                hint=_EXPORTED,
            ) from error
        for field, known in unknown_fields(plain):
            if field not in told:
                told.add(field)
                close = get_close_matches(field, known, 1)
                meant = f" (did you mean {close[0]!r}?)" if close else ""
                place = f"line {number} of {name}"
                warn(f"the field {field!r}{meant} in {place} is not known, so it is left out")
