"""The `headstart` command: serve, demo.

`serve` takes uvicorn's own options, read from uvicorn itself, and ours, derived from `config`.
Every error of our tree is one line that says what to do next, and exit status 1; a wrong call is 2.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
import uvicorn.config
from uvicorn.main import main as uvicorn_command

import headstart
from headstart.config import ServerOptions, WireLimits
from headstart.errors import ConfigurationError, HeadstartError
from headstart.server.run import serve as run_server

# Ours to choose: the protocol is what this server is for.
_NOT_OFFERED = {"http", "http2", "version", "h11_max_incomplete_event_size"}
_DRAIN_SECONDS = 30


class _OneLineErrors(click.Group):
    """A group whose commands tell an error of our tree in one line."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except HeadstartError as error:
            hint = f" {error.hint[:1].upper()}{error.hint[1:]}" if error.hint else ""
            raise click.ClickException(f"{error}.{hint}") from error


_HELP = """Send a page's assets before the client asks for them.

\b
headstart serve main:app      serve an ASGI application over HTTP/2 and HTTP/1.1
headstart demo                serve the push echo on https://localhost:8443

Every option can also be given in the environment: HEADSTART_SERVE_PORT=8080.
"""
_PORT = click.IntRange(0, 65535)


@click.group(
    cls=_OneLineErrors,
    context_settings={"auto_envvar_prefix": "HEADSTART", "help_option_names": ["-h", "--help"]},
    help=_HELP,
)
@click.version_option(headstart.__version__, prog_name="headstart")
def main() -> None:
    """The `headstart` command."""


def _derived(kind: type) -> Iterable[click.Option]:
    """Command-line options for the fields of a dataclass of `config`."""
    for field in dataclasses.fields(kind):
        if field.name == "limits":
            continue
        flag = field.name.replace("_", "-")
        declaration = f"--{flag}/--no-{flag}" if isinstance(field.default, bool) else f"--{flag}"
        yield click.Option(
            [declaration],
            default=field.default,
            type=type(field.default),
            show_default=True,
            help=field.metadata["help"],
        )


def _options(given: dict[str, Any]) -> ServerOptions:
    """Take our options out of what was given."""

    def taken(kind: type) -> dict[str, Any]:
        names = {field.name for field in dataclasses.fields(kind)}
        return {name: given.pop(name) for name in names & given.keys()}

    limits = WireLimits(**taken(WireLimits))
    return ServerOptions(limits=limits, **taken(ServerOptions))


def _uvicorn_settings(given: dict[str, Any]) -> dict[str, Any]:
    """The options of uvicorn as its Config wants them."""
    if given["log_config"] is None:
        given["log_config"] = uvicorn.config.LOGGING_CONFIG
    for name in ("reload_dirs", "reload_includes", "reload_excludes"):
        given[name] = list(given[name]) or None
    given["headers"] = [_header(header) for header in given["headers"]]
    return given


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name:
        raise ConfigurationError(
            f"{text!r} is no header", hint="give it as 'Name: value' with --header."
        )
    return name, value.strip()


def _serve(app: str, app_dir: str, **given: Any) -> None:
    if app_dir:
        sys.path.insert(0, str(Path(app_dir).resolve()))
    options = _options(given)
    run_server(app, options, **_uvicorn_settings(given))


def _serve_command() -> click.Command:
    theirs = [p for p in uvicorn_command.params if p.name not in _NOT_OFFERED]
    for param in theirs:
        if param.name == "timeout_graceful_shutdown":
            param.default = _DRAIN_SECONDS
        if param.name == "port":
            param.type = _PORT
    ours = [*_derived(ServerOptions), *_derived(WireLimits)]
    return click.Command(
        "serve",
        params=[*theirs, *ours],
        callback=_serve,
        help="Serve the ASGI application APP, named as module:attribute.\n\n"
        "HTTP/2 by ALPN (with --ssl-certfile and --ssl-keyfile) or by prior knowledge, HTTP/1.1 "
        "and WebSockets on the same port. The options are uvicorn's, and behind them those of "
        "HTTP/2.",
        short_help="Serve an ASGI application.",
    )


main.add_command(_serve_command())


@main.command()
@click.option("--host", default="localhost", show_default=True, help="Name or address to serve on.")
@click.option("--port", default=8443, type=_PORT, show_default=True, help="Port to serve on.")
@click.option("--certfile", type=click.Path(), help="Certificate chain (PEM), not the demo's own.")
@click.option("--keyfile", type=click.Path(), help="Its private key (PEM).")
@click.option("--cleartext", is_flag=True, help="No TLS: HTTP/2 by prior knowledge, HTTP/1.1.")
def demo(host: str, port: int, certfile: str | None, keyfile: str | None, cleartext: bool) -> None:
    """Serve the push echo: what is posted is pushed back.

    Without --certfile it makes a development CA and a certificate for localhost; h2c and
    headstart.Client trust that CA, for loopback names only.
    """
    if (certfile is None) != (keyfile is None):
        raise ConfigurationError(
            "a certificate and its key go together", hint="give both --certfile and --keyfile."
        )
    if cleartext and certfile:
        raise ConfigurationError(
            "--cleartext and --certfile contradict each other", hint="leave one out."
        )
    tls: dict[str, Any] = {}
    if certfile and keyfile:
        tls = {"ssl_certfile": certfile, "ssl_keyfile": keyfile}
    elif not cleartext:
        # Imported here: making certificates is slow to load, and only the demo does it.
        from headstart import devca

        made = devca.ensure()
        tls = {"ssl_certfile": str(made.certfile), "ssl_keyfile": str(made.keyfile)}
    name = f"[{host}]" if ":" in host else host
    url = f"{'http' if cleartext else 'https'}://{name}:{port}"

    def announce() -> None:
        click.echo(f"Serving the push echo on {url}   (Ctrl-C ends it)")
        click.echo(f"Now, in a second terminal:  h2c connect {url if cleartext else url[8:]}")

    run_server(
        "headstart.demo.echo:app",
        announce=announce,
        host=host,
        port=port,
        timeout_graceful_shutdown=_DRAIN_SECONDS,
        log_level="warning",
        **tls,
    )


if __name__ == "__main__":
    main()
