"""The `headstart` command: serve, map, replay, demo.

    serve.py     serve an ASGI application
    map.py       what was learned: shown, corrected, moved
    replay.py    what would have been sent for a log
    demo.py      the push echo
    options.py   options of ours on the command line, derived from their dataclasses
    terminal.py  text and tables as a terminal takes them

A command's module is loaded when it is called: each needs other rooms, and uvicorn, which only the
servers need, takes longer to load than all else. Every error of our tree is one line that says what
to do next, and exit status 1; a wrong call is 2; Ctrl-C is 130.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

import headstart
from headstart.errors import HeadstartError

_INTERRUPTED = 130
# What each does, as the help of the whole says it; its module holds it as `command`.
_COMMANDS = {
    "serve": "Serve an ASGI application.",
    "map": "Show what was learned, and correct it.",
    "replay": "See what would have been sent for a log.",
    "demo": "Serve the push echo and a small site that learns.",
}


class OneLineErrors(click.Group):
    """A group whose commands tell an error of our tree in one line, and end quietly on Ctrl-C."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run what was called."""
        try:
            return super().invoke(ctx)
        except HeadstartError as error:
            hint = f" {error.hint[:1].upper()}{error.hint[1:]}" if error.hint else ""
            raise click.ClickException(f"{error}.{hint}") from error
        except KeyboardInterrupt:
            ctx.exit(_INTERRUPTED)


class _OnDemand(OneLineErrors):
    """The commands, each loaded when it is called."""

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
        """Write what each does without loading it."""
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


_HELP = """Send a page's assets before the client asks for them.

\b
headstart serve main:app      serve an ASGI application over HTTP/2 and HTTP/1.1
headstart map                 what was learned, and what is sent with which page
headstart replay access.log   what would have been sent, and how much of it was right
headstart demo                serve the push echo on https://localhost:8443

Every option can also be given in the environment: HEADSTART_SERVE_PORT=8080.
"""


@click.group(
    cls=_OnDemand,
    context_settings={"auto_envvar_prefix": "HEADSTART", "help_option_names": ["-h", "--help"]},
    help=_HELP,
)
@click.version_option(headstart.__version__, prog_name="headstart")
def main() -> None:
    """The `headstart` command."""
