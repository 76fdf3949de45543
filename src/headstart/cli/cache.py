"""`headstart cache`: the responses that running servers have stored.

Asks each worker through `cache.control`. Loaded by the group when it is called.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from headstart.cache.control import ask, check_private, default_folder
from headstart.cli.terminal import Column, count, say, table, width
from headstart.errors import ConfigurationError

_FOLDER = click.option(
    "--cache-control",
    "folder",
    envvar="HEADSTART_SERVE_CACHE_CONTROL",
    type=click.Path(file_okay=False),
    help="Folder that the server was given; by default in your runtime folder.",
)


_COLUMNS = (
    Column("url", least=20),
    Column("status", right=True),
    Column("bytes", right=True),
    Column("age", right=True),
    Column("fresh for", right=True),
    Column("hits", right=True),
    Column("vary"),
)


def _cells(row: dict[str, Any]) -> list[str]:
    numbers = [f"{row['status']}", f"{row['size']:,}", f"{row['age']} s", f"{row['fresh_for']} s"]
    return [row["url"], *numbers, f"{row['hits']:,}", ", ".join(row["vary"])]


# Beside the function: a docstring with a backslash has to be raw, and click wants the character.
_HELP = """List or purge the responses that running servers have cached.

\b
headstart cache list
headstart cache purge https://example.com/style.css
headstart cache purge '/css/*'
"""


@click.group(short_help="List or purge what a running server has cached.", help=_HELP)
def command() -> None:
    """List or purge the responses that running servers have cached."""


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON, one worker a line.")
@_FOLDER
def _list(as_json: bool, folder: str | None) -> None:
    """List the stored responses, the most recently used last."""
    workers = _asked(folder, {"list": True})
    for worker in workers:
        if as_json:
            say(json.dumps(worker))
            continue
        if len(workers) > 1:
            say(f"Worker {worker['worker']}:", bold=True)
        used, size = worker["used"], worker["size"]
        rows = [_cells(row) for row in worker["entries"]]
        for line in table(_COLUMNS, rows, width()) if rows else ():
            say(line)
        say(f"{count(len(rows), 'response')}, {used / 2**20:.1f} of {size / 2**20:.1f} MiB")


@command.command("purge")
@click.argument("url")
@_FOLDER
def _purge(url: str, folder: str | None) -> None:
    """Remove the responses for URL: a whole URL, or a path of any host. `*` at its end is for all.

    All workers and servers of this user remove them at once.

    headstart cache purge https://example.com/style.css
    """
    if not url.startswith(("/", "http://", "https://")):
        raise click.BadParameter(
            f"{url!r} is neither a URL nor a path. Give https://HOST/PATH, or /PATH for all hosts.",
            param_hint="URL",
        )
    purged = sum(worker["purged"] for worker in _asked(folder, {"purge": url}))
    say(f"{purged} purged")


def _asked(folder: str | None, question: dict[str, Any]) -> list[dict[str, Any]]:
    place = Path(folder) if folder else default_folder()
    if not folder and place.exists():
        # In /tmp anybody could have made it, and would be asked instead of the server.
        check_private(place.parent)
        check_private(place)
    answers = list(ask(place, question))
    if not answers:
        raise ConfigurationError(
            f"No running server has a cache with its control folder at {place}",
            hint="Start one with --cache 64MiB, and name its folder with --cache-control.",
        )
    return answers
