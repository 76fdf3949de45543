"""`headstart map`: what was learned, shown, corrected and moved.

Reads and changes the store's file, through `store.offline`, whether servers run or not: those that
do obey at their next exchange with it. Loaded by the group when it is called.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import click

from headstart.cli import terminal
from headstart.cli.options import LEARN, derived, taken
from headstart.cli.rows import all_rows, because, is_waste, rows_of, split
from headstart.cli.terminal import Column, count, printable, say, warn
from headstart.errors import ConfigurationError
from headstart.learn import LearnOptions, Record, Row, Silence
from headstart.learn.records import from_plain, to_plain
from headstart.store import default_path, offline

_STORE_HELP = "File that keeps what was learned; by default in your data folder."

_NOTHING = (
    "Nothing has been learned yet. It will be kept in {}, and comes from what `headstart serve` "
    "answers, or from a log by `headstart replay --save`."
)

_EXPORTED = "Give a file that `headstart map export` wrote."


@dataclass(frozen=True, slots=True)
class _Given:
    """What was said before the page or the command."""

    store: str | None
    as_json: bool
    options: LearnOptions


class _PageOrCommand(click.Group):
    """A group that shows a page where no command is named."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """What is to be run: a page begins with a slash, or is a URL; a command does not."""
        if _is_page(args[0]):
            return "", _show, args
        if args[0] not in self.commands:
            commands = ", ".join(self.commands)
            ctx.fail(
                f"{args[0]!r} is neither a page (a path such as /about, or a whole URL) "
                f"nor a command ({commands})."
            )
        return super().resolve_command(ctx, args)


def _page(ctx: click.Context, param: click.Parameter, value: str) -> str:
    """A page as it was given: a path, or a whole URL where there is more than one origin."""
    if not _is_page(value):
        raise click.BadParameter(f"{value!r} is no page: give a path such as /about, or a URL.")
    return value


def _is_page(text: str) -> bool:
    return text.startswith(("/", "http://", "https://"))


_store = click.option("--store", type=click.Path(dir_okay=False), help=_STORE_HELP)


def _place(ctx: click.Context, store: str | None) -> Path:
    given = ctx.find_object(_Given)
    named = store or (given.store if given else None)
    return Path(named) if named else default_path()


# Showing


def _begin(ctx: click.Context, store: str | None, as_json: bool, **learning: Any) -> None:
    options = LearnOptions(**taken(learning, LearnOptions, LEARN))
    ctx.obj = _Given(store, as_json, options)
    if ctx.invoked_subcommand is None:
        _print_map(_place(ctx, None), ctx.obj, "")


@click.command("show")
@click.argument("page", callback=_page)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_store
@click.pass_context
def _show(ctx: click.Context, page: str, as_json: bool, store: str | None) -> None:
    """Show what is known of one page."""
    given: _Given = ctx.obj
    given = _Given(given.store, given.as_json or as_json, given.options)
    _print_map(_place(ctx, store), given, page)


def _print_map(path: Path, given: _Given, page: str) -> None:
    learner = offline.known(path, given.options, warn=warn)
    rows = rows_of(learner, page) if page else all_rows(learner)
    place = printable(str(path))
    if given.as_json:
        click.echo(json.dumps([_plain(row) for row in rows], indent=2))
    elif rows:
        _print_rows(rows)
        say(f"\n{_summary(rows)}; kept in {place}")
    elif page:
        say(f"Nothing is known of {printable(page)}; what is known is kept in {place}", err=True)
    else:
        say(_NOTHING.format(place), err=True)


def _plain(row: Row) -> dict[str, Any]:
    why = Silence.MOSTLY_WASTE if is_waste(row) else row.why
    return {**asdict(row), "why": why}


_COLUMNS = (
    Column("page", least=8),
    Column("asset", least=12),
    Column("probability", right=True),
    Column("views", right=True),
    Column("decision"),
    Column("why", least=12),
)


def _print_rows(rows: list[Row]) -> None:
    """A table for each origin, all with the same columns."""
    cells = [_cells(row, before) for before, row in zip([None, *rows], rows, strict=False)]
    lines = terminal.table(_COLUMNS, cells, terminal.width())
    origin = None
    for row, line in zip(rows, lines[1:], strict=True):
        if origin != (origin := split(row.page)[0]):
            say(printable(origin) or "every origin", bold=True)
            say(lines[0])
        say(line, dim=not row.sent)


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
    pages = count(len({row.page for row in rows if not row.page.endswith("/*")}), "page")
    return f"{pages} with {count(len(rows), 'asset')}, {sum(row.sent for row in rows):,} sent"


# The command, and those below it

command = _PageOrCommand(
    "map",
    callback=click.pass_context(_begin),
    invoke_without_command=True,
    subcommand_metavar="[PAGE | COMMAND ...]",
    short_help="Show what was learned, and correct it.",
    help="""Show what was learned: pages, their assets, what is sent, and why.

    PAGE is a path such as /about, or a whole URL; without it all pages are shown, and what is known
    of pages alike (/product/*) and of the whole site (/*). All of it works while servers run; they
    obey within two seconds.

    What is sent depends on the server's options. Those of learning (--learn-likely and so on) can
    be given here too, before PAGE, where the server was given others than the default.
    """,
    params=[
        click.Option(
            ["--store"],
            type=click.Path(dir_okay=False),
            envvar=["HEADSTART_MAP_STORE", "HEADSTART_SERVE_STORE"],
            help=_STORE_HELP,
        ),
        click.Option(["--json", "as_json"], is_flag=True, help="Print JSON."),
        *derived(LearnOptions, LEARN, hidden=True),
    ],
)


@command.command()
@click.argument("page", callback=_page)
@_store
@click.pass_context
def forget(ctx: click.Context, page: str, store: str | None) -> None:
    """Forget PAGE and what is pinned to it; it is learned anew."""
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
def pin(ctx: click.Context, page: str, asset: str, store: str | None) -> None:
    """Always send ASSET with PAGE, until PAGE is forgotten."""
    origin, target = split(asset)
    if origin and origin != split(page)[0]:
        raise ConfigurationError(
            f"{printable(asset)} is not on the origin of {printable(page)}",
            hint="Give it as a path such as /site.css; a page is sent what is on its own origin.",
        )
    offline.pin(page, target, _place(ctx, store), warn=warn)
    say(f"{printable(target)} is always sent with {printable(page)}.")


@command.command()
@click.argument("asset")
@_store
@click.pass_context
def never(ctx: click.Context, asset: str, store: str | None) -> None:
    """Never send ASSET, a path or a whole URL, with any page."""
    offline.never(asset, _place(ctx, store), warn=warn)
    say(f"{printable(asset)} is never sent.")


# Moving


@command.command("export")
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True), default="-")
@_store
@click.pass_context
def export(ctx: click.Context, file: str, store: str | None) -> None:
    """Write all that is known to FILE, or standard output, one JSON object a line."""
    learner = offline.known(_place(ctx, store), ctx.obj.options, warn=warn)
    plain = map(to_plain, learner.export())
    text = "".join(json.dumps(record, separators=(",", ":")) + "\n" for record in plain)
    try:
        with click.open_file(file, "w", encoding="utf-8", atomic=file != "-") as stream:
            stream.write(text)
    except OSError as error:
        if file == "-":  # whoever reads it has gone
            raise
        raise ConfigurationError(
            f"cannot write {printable(file)}: {error.strerror}",
            hint="Name a file in a folder that you can write to.",
        ) from error


@command.command("import")
@click.argument("file", type=click.Path(allow_dash=True))
@_store
@click.pass_context
def import_(ctx: click.Context, file: str, store: str | None) -> None:
    """Add what `export` wrote to FILE (- for standard input) to what is known."""
    path = _place(ctx, store)
    try:
        with click.open_file(file, encoding="utf-8", errors="replace") as stream:
            records = list(_read(stream, file))
    except OSError as error:
        raise ConfigurationError(
            f"cannot read {printable(file)}: {error.strerror}",
            hint=_EXPORTED,
        ) from error
    if not records:
        raise ConfigurationError(f"{printable(file)} is empty", hint=_EXPORTED)
    offline.tell(records, path, warn=warn, options=ctx.obj.options)
    say(f"{count(len(records), 'record')} added to {printable(str(path))}")


def _read(stream: IO[str], name: str) -> Iterator[Record]:
    for number, line in enumerate(stream, 1):
        if not line.strip():
            continue
        try:
            yield from_plain(json.loads(line))
        except (ValueError, TypeError, RecursionError, ConfigurationError) as error:
            raise ConfigurationError(
                f"line {number} of {printable(name)} is no record of the map",
                hint=_EXPORTED,
            ) from error
