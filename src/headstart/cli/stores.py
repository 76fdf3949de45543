"""Where a store is, as the command line is given it: a file, or a Redis server that a fleet shares.

Called by `serve`, `map` and `replay`, whose options have `as_place` for a callback.
"""

from __future__ import annotations

import click
from click.core import ParameterSource

from headstart.errors import ConfigurationError
from headstart.store import Place, parse_place
from headstart.store.address import has_password
from headstart.store.redis_client import PASSWORD_VARIABLE

STORE_TYPE = click.Path(dir_okay=False)


def as_place(ctx: click.Context, param: click.Parameter, value: str | None) -> Place | None:
    """Return the place that was named, or None where none was.

    Other users see the arguments of a process, so a password is not taken from there.
    """
    source = ctx.get_parameter_source(param.name or "")
    if not value:
        # `--store ""` asks for no store. An empty `--save` is a mistake, such as the
        # variable of a shell that is not set.
        if value is not None and param.name == "save" and source is ParameterSource.COMMANDLINE:
            raise click.BadParameter("it is empty. Give a file, or the URL of a Redis server.")
        return None
    if source is ParameterSource.COMMANDLINE and has_password(value):
        variable = f"{ctx.auto_envvar_prefix}_{param.name or ''}".upper()
        raise click.BadParameter(
            "other users of this machine can read a password in a command line. Give the URL in "
            f"the environment variable {variable}, the password in {PASSWORD_VARIABLE}, or its "
            "file with ?password_file=PATH."
        )
    try:
        return parse_place(value)
    except ConfigurationError as error:
        raise click.BadParameter(f"{error}. {error.hint}") from None
