"""`headstart serve`: an ASGI application over HTTP/2 and HTTP/1.1.

It takes uvicorn's own options, read from uvicorn itself, and ours. Loaded by the group when it is
called; hands all to `server.run`.
"""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from typing import Any

import click
from uvicorn.main import main as uvicorn_command

from headstart.cli.groups import GroupedCommand
from headstart.cli.options import DELIVER, LEARN, PORT, FloatRange, IntRange, derived, taken
from headstart.cli.stores import STORE_TYPE, as_place
from headstart.cli.terminal import warn
from headstart.config import AdminOptions, CacheOptions, DeliverOptions, ServerOptions, WireLimits
from headstart.errors import ConfigurationError, LocalProtocolError
from headstart.learn import LearnOptions
from headstart.server.application import cut_to_application, working_folder
from headstart.server.logs import logging_config
from headstart.server.run import Beside, Learning
from headstart.server.run import serve as run_server
from headstart.store import default_path, offline
from headstart.wire.fields import checked_fields

# Ours to choose: the protocol is what this server is for.
_NOT_OFFERED = {"http", "http2", "version", "h11_max_incomplete_event_size"}
DRAIN_SECONDS = 30
# A page in the developer's browser keeps a stream of events open, and the new code waits for it.
_RELOAD_DRAIN_SECONDS = 3

# uvicorn takes any number, also those that make no sense: below 1 worker it starts one.
_RANGES: dict[str, click.ParamType[Any]] = {
    "port": PORT,
    "fd": IntRange(0),
    "workers": IntRange(1),
    "backlog": IntRange(1),
    "limit_concurrency": IntRange(1),
    "limit_max_requests": IntRange(1),
    "limit_max_requests_jitter": IntRange(0),
    "timeout_keep_alive": IntRange(0),
    "timeout_graceful_shutdown": IntRange(0),
    "timeout_worker_healthcheck": IntRange(1),
    "reload_delay": FloatRange(0),
}


def _options(given: dict[str, Any]) -> ServerOptions:
    """Take the server's options out of the given ones."""
    limits = WireLimits(**taken(given, WireLimits))
    deliver = DeliverOptions(**taken(given, DeliverOptions, DELIVER))
    caching = CacheOptions(**taken(given, CacheOptions))
    return ServerOptions(
        limits=limits, deliver=deliver, caching=caching, **taken(given, ServerOptions)
    )


def _learning(given: dict[str, Any]) -> Learning | None:
    """Take the options of learning out of the given ones; return None if learning is off."""
    options = LearnOptions(**taken(given, LearnOptions, LEARN))
    store = given.pop("store")
    if not given.pop("learn"):
        return None
    if store:
        offline.check(store)
        return Learning(options=options, store=store)
    try:
        return Learning(options=options, store=default_path())
    except ConfigurationError as error:
        warn(f"{error}, so what is learned is kept in memory; --store FILE keeps it")
        return Learning(options=options)


def _uvicorn_settings(given: dict[str, Any], log_format: str) -> dict[str, Any]:
    """Return the options of uvicorn as its Config wants them."""
    if given["log_config"] is None:
        given["log_config"] = logging_config(log_format)
    elif log_format != "text":
        raise ConfigurationError(
            f"--log-config and --log-format {log_format} both say how lines are written",
            hint="leave one of them out. In your file, the formatter is "
            "headstart.observe.json_lines.JsonFormatter.",
        )
    for name in ("reload_dirs", "reload_includes", "reload_excludes"):
        given[name] = list(given[name]) or None
    given["headers"] = [_header(header) for header in given["headers"]]
    if given["timeout_graceful_shutdown"] is None:
        seconds = _RELOAD_DRAIN_SECONDS if given["reload"] else DRAIN_SECONDS
        given["timeout_graceful_shutdown"] = seconds
    return given


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    value = value.strip()
    try:
        fields = checked_fields([(name.encode("latin-1"), value.encode("latin-1"))], [])
    except (LocalProtocolError, UnicodeEncodeError):
        fields = []
    if not colon or not fields:  # the fields of a connection are left out: RFC 9113, 8.2.2
        raise ConfigurationError(
            f"{text!r} is not a response header",
            hint="Write --header 'NAME: VALUE'.",
        )
    return name, value


def _check_rum(options: ServerOptions, learning: Learning | None) -> None:
    """Refuse options with which no report would ever count."""
    if learning is None:
        missing = "--no-learn"
    elif not learning.options.measure:
        missing = "--no-learn-measure"
    elif learning.options.control_share <= 0:
        missing = "--learn-control-share 0"
    elif not options.deliver.server_timing:
        missing = "--no-deliver-server-timing"
    else:
        return
    raise ConfigurationError(
        f"with {missing} there is nothing that --rum could compare", hint="leave out one of them."
    )


def run(app: Any, app_dir: str, **given: Any) -> None:
    """Serve `app`, or the application it names, with the options that the command line gave."""
    if app_dir and not Path(app_dir).is_dir():
        raise ConfigurationError(
            f"--app-dir {app_dir} is not a folder", hint="name the folder that holds the module."
        )
    # The folder that was named comes before the current one.
    for folder in (working_folder(), str(Path(app_dir).resolve()) if app_dir else ""):
        if folder:
            sys.path.insert(0, folder)
    learning = _learning(given)
    options = _options(given)
    if options.rum:
        _check_rum(options, learning)
    beside = _admin(AdminOptions(**taken(given, AdminOptions)))
    settings = _uvicorn_settings(given, options.log_format)
    try:
        run_server(app, options, learning, beside=beside, **settings)
    except Exception as error:
        _tell_of_import(app, error)
        raise


def _tell_of_import(app: Any, error: Exception) -> None:
    """Exit if the application could not be imported, with its own frames and a line that says so.

    Any other error stays as it is.
    """
    if not cut_to_application(error):
        return
    traceback.print_exception(error)
    told = f"{app} cannot be imported: {str(error) or type(error).__name__}"
    if isinstance(error, ModuleNotFoundError):
        told += f". Install the package that holds it for {sys.executable}"
    click.echo(f"Error: {told}.", err=True)
    sys.exit(1)


def _admin(options: AdminOptions) -> Beside | None:
    """Return the admin port, if there is to be one; its code is loaded only then."""
    if not options.admin:
        return None
    from headstart.admin import Admin

    return Admin(options).beside


def _serve_command() -> click.Command:
    theirs = [p for p in uvicorn_command.params if p.name not in _NOT_OFFERED]
    for param in theirs:
        if param.name == "timeout_graceful_shutdown":
            param.help = f"Seconds to wait for graceful shutdown, {DRAIN_SECONDS} by default."
        elif param.name == "reload":
            param.help = (
                f"Enable auto-reload. Open responses have {_RELOAD_DRAIN_SECONDS} s, unless "
                "--timeout-graceful-shutdown says more."
            )
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
            type=STORE_TYPE,
            callback=as_place,
            help="File that keeps what was learned, by default in your data folder, or the URL of "
            "a Redis server that several machines share.",
        ),
        *derived(ServerOptions),
        *derived(AdminOptions),
        *derived(CacheOptions),
        *derived(DeliverOptions, DELIVER),
        *derived(LearnOptions, LEARN),
        *derived(WireLimits),
    ]
    return GroupedCommand(
        "serve",
        params=[*theirs, *ours],
        callback=run,
        help="Serve the ASGI application APP, named as module:attribute.\n\n"
        "HTTP/2 by ALPN (with --ssl-certfile and --ssl-keyfile) or by prior knowledge, HTTP/1.1 "
        "and WebSockets on the same port. All of uvicorn's options are among these.\n\n"
        "\b\n"
        "headstart serve main:app\n"
        "headstart serve main:app --host 0.0.0.0 --port 443 \\\n"
        "    --ssl-certfile cert.pem --ssl-keyfile key.pem",
        short_help="Serve a Python application (ASGI or WSGI).",
    )


command = _serve_command()
