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
from headstart.config import DeliverOptions, ServerOptions, WireLimits
from headstart.errors import ConfigurationError, HeadstartError, LocalProtocolError
from headstart.learn import LearnOptions
from headstart.server.run import Learning
from headstart.server.run import serve as run_server
from headstart.store import default_path
from headstart.wire.fields import checked_fields

# Ours to choose: the protocol is what this server is for.
_NOT_OFFERED = {"http", "http2", "version", "h11_max_incomplete_event_size"}
_DRAIN_SECONDS = 30
# Both rooms have a `max_assets`.
_DELIVER, _LEARN = "deliver_", "learn_"


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
# RFC 9113, 6.5.2 and 6.9.1: no window is larger, and nothing else comes near it.
_RANGES = {int: click.IntRange(1, 2**31 - 1), float: click.FloatRange(0, min_open=True)}


@click.group(
    cls=_OneLineErrors,
    context_settings={"auto_envvar_prefix": "HEADSTART", "help_option_names": ["-h", "--help"]},
    help=_HELP,
)
@click.version_option(headstart.__version__, prog_name="headstart")
def main() -> None:
    """The `headstart` command."""


def _derived(kind: type, prefix: str = "") -> Iterable[click.Option]:
    """Command-line options for the fields of a dataclass of options."""
    for field in dataclasses.fields(kind):
        if "help" not in field.metadata:
            continue
        name = prefix + field.name
        flag = name.replace("_", "-")
        declaration = f"--{flag}/--no-{flag}" if isinstance(field.default, bool) else f"--{flag}"
        yield click.Option(
            [declaration, name],
            default=field.default,
            type=_RANGES.get(type(field.default)),
            show_default=True,
            help=field.metadata["help"],
        )


def _taken(given: dict[str, Any], kind: type, prefix: str = "") -> dict[str, Any]:
    """Take the options of a dataclass out of what was given."""
    names = [field.name for field in dataclasses.fields(kind) if prefix + field.name in given]
    return {name: given.pop(prefix + name) for name in names}


def _options(given: dict[str, Any]) -> ServerOptions:
    """Take the server's options out of what was given."""
    limits = WireLimits(**_taken(given, WireLimits))
    deliver = DeliverOptions(**_taken(given, DeliverOptions, _DELIVER))
    return ServerOptions(limits=limits, deliver=deliver, **_taken(given, ServerOptions))


def _learning(given: dict[str, Any]) -> Learning | None:
    """Take what says how to learn out of what was given; None where nothing is to be learned."""
    options = LearnOptions(**_taken(given, LearnOptions, _LEARN))
    store = given.pop("store")
    if not given.pop("learn"):
        return None
    return Learning(options=options, store=Path(store) if store else default_path())


def _uvicorn_settings(given: dict[str, Any]) -> dict[str, Any]:
    """The options of uvicorn as its Config wants them."""
    if given["log_config"] is None:
        given["log_config"] = uvicorn.config.LOGGING_CONFIG
    for name in ("reload_dirs", "reload_includes", "reload_excludes"):
        given[name] = list(given[name]) or None
    given["headers"] = [_header(header) for header in given["headers"]]
    return given


def _header(text: str) -> tuple[str, str]:
    name, _, value = text.partition(":")
    value = value.strip()
    try:
        fields = checked_fields([(name.encode("latin-1"), value.encode("latin-1"))], [])
    except (LocalProtocolError, UnicodeEncodeError):
        fields = []
    if not fields:  # the fields of a connection are left out: RFC 9113, 8.2.2
        raise ConfigurationError(
            f"{text!r} is no header of a response", hint="give it as 'Name: value' with --header."
        )
    return name, value


def _serve(app: str, app_dir: str, **given: Any) -> None:
    if app_dir:
        sys.path.insert(0, str(Path(app_dir).resolve()))
    learning = _learning(given)
    options = _options(given)
    run_server(app, options, learning, **_uvicorn_settings(given))


def _serve_command() -> click.Command:
    theirs = [p for p in uvicorn_command.params if p.name not in _NOT_OFFERED]
    for param in theirs:
        if param.name == "timeout_graceful_shutdown":
            param.default = _DRAIN_SECONDS
        if param.name == "port":
            param.type = _PORT
    ours = [
        click.Option(
            ["--learn/--no-learn"],
            default=True,
            show_default=True,
            help="Learn what pages need, and send it ahead.",
        ),
        click.Option(
            ["--store"],
            type=click.Path(dir_okay=False),
            help="File that keeps what was learned; by default in your data folder.",
        ),
        *_derived(ServerOptions),
        *_derived(DeliverOptions, _DELIVER),
        *_derived(LearnOptions, _LEARN),
        *_derived(WireLimits),
    ]
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
        click.echo(f"and a small site that learns on {url}/site/")
        click.echo(f"Now, in a second terminal:  h2c connect {url if cleartext else url[8:]}")

    run_server(
        "headstart.demo.app:app",
        # The small site needs eleven assets, one more than a page usually gets.
        ServerOptions(
            limits=WireLimits(max_pushes_per_request=12), deliver=DeliverOptions(max_assets=12)
        ),
        # Learned anew each time, so that the first visitor is the first one.
        Learning(options=LearnOptions(control_share=0)),
        announce=announce,
        host=host,
        port=port,
        timeout_graceful_shutdown=_DRAIN_SECONDS,
        log_level="warning",
        **tls,
    )


if __name__ == "__main__":
    main()
