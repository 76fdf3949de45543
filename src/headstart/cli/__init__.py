"""The `headstart` command: serve, proxy, map, replay, demo.

    serve.py     serve an ASGI application
    proxy.py     serve a site of another server
    cache.py     the entries in the caches of running servers
    map.py       learned data: show, correct, move
    replay.py    play a log through the server and score it
    demo.py      the push echo
    options.py   our options on the command line, derived from their dataclasses
    groups.py    the sections of a long help
    terminal.py  text and tables for a terminal
    stdio.py     standard streams that are closed or full

A command's module is loaded when it is called: each needs other packages, and uvicorn, which only
the servers need, takes longer to load than all others. Every error of ours is one line with advice,
and exit status 1; invalid usage is 2; Ctrl-C is 130.
"""

from __future__ import annotations

import os
import sys
from difflib import get_close_matches
from importlib import import_module
from typing import Any

import click
from click.core import ParameterSource

import headstart
from headstart.cli import stdio
from headstart.errors import HeadstartError

_INTERRUPTED = 130
# What each does, as the help of the whole says it; its module holds it as `command`.
_COMMANDS = {
    "serve": "Serve a Python application (ASGI or WSGI).",
    "proxy": "Serve the site of another server in its place.",
    "map": "Show the assets learned for each page, and correct them.",
    "cache": "List or purge what a running server has cached.",
    "replay": "Play an access log, and show the requests saved.",
    "demo": "Serve the push echo and a small site that learns.",
}


class OneLineErrors(click.Group):
    """A group whose commands tell an error of our tree in one line, and end quietly on Ctrl-C."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run as a process does: with standard streams that can be used."""
        stdio.prepare()
        try:
            return super().main(*args, **kwargs)
        except stdio.OutputError as error:  # of a help, which is printed before `invoke`
            click.echo(f"Error: {_sentences(error)}", err=True)
            sys.exit(1)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except HeadstartError as error:
            raise click.ClickException(_sentences(error)) from error
        except click.MissingParameter as error:
            if error.ctx is None:
                raise
            example = _example_of(error.ctx)
            raise click.MissingParameter(example, error.ctx, error.param) from error
        except click.BadParameter as error:
            error.param_hint = error.param_hint or _variable_of(error)
            raise
        except KeyboardInterrupt:
            ctx.exit(_INTERRUPTED)


def _variable_of(error: click.BadParameter) -> str | None:
    """Return the option and its variable if the value is that of the environment, else None."""
    ctx, option = error.ctx, error.param
    if ctx is None or option is None or not option.name:
        return None
    if ctx.get_parameter_source(option.name) is not ParameterSource.ENVIRONMENT:
        return None
    named = [option.envvar] if isinstance(option.envvar, str) else option.envvar or []
    variables = [*named, f"{ctx.auto_envvar_prefix}_{option.name}".upper()]
    variable = next(each for each in variables if os.environ.get(each))
    return f"{option.get_error_hint(ctx)} ({variable} in the environment)"


def _sentences(error: HeadstartError) -> str:
    hint = f" {error.hint[:1].upper()}{error.hint[1:]}" if error.hint else ""
    return f"{error}.{hint}"


def _example_of(ctx: click.Context) -> str:
    """Return a sentence with the first command line that the command's help shows; "" for none."""
    lines = (ctx.command.help or "").splitlines()
    names: list[str | None] = []
    while ctx.parent is not None:
        names.insert(0, ctx.info_name)
        ctx = ctx.parent
    called = f"headstart {' '.join(name or '' for name in names)} "
    example = next((line.strip() for line in lines if line.strip().startswith(called)), "")
    return f"For example: {example}" if example else ""


class _OnDemand(OneLineErrors):
    """The commands, each loaded when it is called."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or suggest a similar one."""
        name = args[0]
        if name not in _COMMANDS and not name.startswith("-"):
            close = get_close_matches(name, _COMMANDS, 1)
            known = f"Commands are {', '.join(_COMMANDS)}."
            meant = f"Did you mean {close[0]}?" if close else known
            ctx.fail(f"No such command {name!r}. {meant}")
        return super().resolve_command(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names, as the help shows them."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load one."""
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = import_module(f"{__name__}.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a line about each command without loading it."""
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


_HELP = """Send a page's assets before the client asks for them.

\b
headstart serve main:app      serve a Python application over HTTP/2 and HTTP/1.1
headstart proxy http://127.0.0.1:8080
                              serve the site of another server in its place
headstart map                 show each page with the assets that are sent ahead
headstart replay access.log   play an access log, and show the requests saved
headstart demo                serve the push echo on https://localhost:8443

You can also set every option in the environment: HEADSTART_SERVE_PORT=8080.
"""


@click.group(
    cls=_OnDemand,
    context_settings={"auto_envvar_prefix": "HEADSTART", "help_option_names": ["-h", "--help"]},
    help=_HELP,
)
@click.version_option(headstart.__version__, prog_name="headstart")
def main() -> None:
    """Run the `headstart` command."""
