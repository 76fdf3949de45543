"""`headstart serve`: an ASGI application over HTTP/2 and HTTP/1.1.

It takes uvicorn's own options, read from uvicorn itself, and ours. Loaded by the group when it is
called; hands all to `server.run`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
from uvicorn.main import main as uvicorn_command

from headstart.cli.options import DELIVER, LEARN, PORT, derived, taken
from headstart.config import DeliverOptions, ServerOptions, WireLimits
from headstart.errors import ConfigurationError, LocalProtocolError
from headstart.learn import LearnOptions
from headstart.server.run import LOGGING, Learning
from headstart.server.run import serve as run_server
from headstart.store import default_path
from headstart.wire.fields import checked_fields

# Ours to choose: the protocol is what this server is for.
_NOT_OFFERED = {"http", "http2", "version", "h11_max_incomplete_event_size"}
DRAIN_SECONDS = 30

# uvicorn takes any number, also those that make no sense: below 1 worker it starts one.
_RANGES: dict[str, click.ParamType[Any]] = {
    "port": PORT,
    "fd": click.IntRange(0),
    "workers": click.IntRange(1),
    "backlog": click.IntRange(1),
    "limit_concurrency": click.IntRange(1),
    "limit_max_requests": click.IntRange(1),
    "limit_max_requests_jitter": click.IntRange(0),
    "timeout_keep_alive": click.IntRange(0),
    "timeout_graceful_shutdown": click.IntRange(0),
    "timeout_worker_healthcheck": click.IntRange(1),
    "reload_delay": click.FloatRange(0),
}


def _options(given: dict[str, Any]) -> ServerOptions:
    """Take the server's options out of what was given."""
    limits = WireLimits(**taken(given, WireLimits))
    deliver = DeliverOptions(**taken(given, DeliverOptions, DELIVER))
    return ServerOptions(limits=limits, deliver=deliver, **taken(given, ServerOptions))


def _learning(given: dict[str, Any]) -> Learning | None:
    """Take what says how to learn out of what was given; None where nothing is to be learned."""
    options = LearnOptions(**taken(given, LearnOptions, LEARN))
    store = given.pop("store")
    if not given.pop("learn"):
        return None
    return Learning(options=options, store=Path(store) if store else default_path())


def _uvicorn_settings(given: dict[str, Any]) -> dict[str, Any]:
    """The options of uvicorn as its Config wants them."""
    if given["log_config"] is None:
        given["log_config"] = LOGGING
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
            param.default = DRAIN_SECONDS
        param.type = _RANGES.get(param.name or "", param.type)
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
        *derived(ServerOptions),
        *derived(DeliverOptions, DELIVER),
        *derived(LearnOptions, LEARN),
        *derived(WireLimits),
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


command = _serve_command()
