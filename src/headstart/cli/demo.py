"""`headstart demo`: the push echo and a small site, with a certificate that is made for it.

Loaded by the group when it is called; hands all to `server.run`.
"""

from __future__ import annotations

import os
import shutil
import socket
import sys
from pathlib import Path
from typing import Any

import click

from headstart.cli.options import PORT
from headstart.cli.serve import DRAIN_SECONDS
from headstart.config import DeliverOptions, ServerOptions, WireLimits
from headstart.devca import trust_command
from headstart.errors import ConfigurationError
from headstart.learn import LearnOptions
from headstart.server.run import Learning
from headstart.server.run import serve as run_server


@click.command("demo")
@click.option("--host", default="localhost", show_default=True, help="Name or address to serve on.")
@click.option("--port", default=8443, type=PORT, show_default=True, help="Port to serve on.")
@click.option("--certfile", type=click.Path(), help="Certificate chain (PEM), not the demo's own.")
@click.option("--keyfile", type=click.Path(), help="Its private key (PEM).")
@click.option("--cleartext", is_flag=True, help="No TLS: HTTP/2 by prior knowledge, HTTP/1.1.")
def command(
    host: str, port: int, certfile: str | None, keyfile: str | None, cleartext: bool
) -> None:
    """Serve the push echo and a small site that learns.

    A message posted to /data is pushed back; the second visitor of /site/ gets everything ahead.
    Without --certfile it makes a development CA and a certificate for localhost; h2c and
    headstart.AsyncClient trust that CA, for loopback names only.
    """
    tls, ca = _tls(certfile, keyfile, cleartext=cleartext)
    port = port or _free_port()
    scheme = "http" if cleartext else "https"
    # What listens everywhere is reached, and its certificate verified, as localhost.
    name = "localhost" if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host
    url = f"{scheme}://{name}:{port}"

    def announce() -> None:
        click.echo(f"Serving the push echo on {url}/ and a small site on {url}/site/")
        click.echo("Now, in a second terminal (Ctrl-C here ends it):")
        h2c = _h2c()
        click.echo(f"  {h2c} connect {url if cleartext else url.removeprefix('https://')}")
        click.echo(f"  {h2c} post --data 'hello world' /data")
        click.echo(f"  {h2c} get /data")
        if ca is not None:
            click.echo(
                "For Chromium or Chrome, trust its certificate first (docs/start.md, In a browser):"
            )
            click.echo(f"  {trust_command(ca)}")

    run_server(
        "headstart.demo.app:app",
        # The small site needs eleven assets, one more than a page usually gets.
        ServerOptions(
            limits=WireLimits(max_pushes_per_request=12),
            # The first visitor's load is to show what the learner does not know yet.
            deliver=DeliverOptions(max_assets=12, push_named=False),
        ),
        # Learned anew each time, so that the first visitor is the first one.
        Learning(options=LearnOptions(control_share=0)),
        announce=announce,
        host=host,
        port=port,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        log_level="warning",
        **tls,
    )


def _free_port() -> int:
    """Return a free port, so that it can be named before the server listens."""
    with socket.socket() as probe:
        probe.bind(("", 0))
        port: int = probe.getsockname()[1]
        return port


def _h2c() -> str:
    """How to call `h2c` from this folder: it stands beside this command."""
    beside = Path(sys.argv[0]).absolute().with_name("h2c")
    found = shutil.which("h2c")
    if (found is not None and Path(found).absolute() == beside) or not beside.exists():
        return "h2c"
    return os.path.relpath(beside)


def _tls(
    certfile: str | None, keyfile: str | None, *, cleartext: bool
) -> tuple[dict[str, Any], Path | None]:
    """Return uvicorn's certificate settings, and the CA if it is ours."""
    if cleartext and (certfile or keyfile):
        raise ConfigurationError(
            "--cleartext and a certificate contradict each other", hint="leave one out."
        )
    if (certfile is None) != (keyfile is None):
        raise ConfigurationError(
            "a certificate and its key go together", hint="give both --certfile and --keyfile."
        )
    if certfile and keyfile:
        return {"ssl_certfile": certfile, "ssl_keyfile": keyfile}, None
    if cleartext:
        return {}, None
    # Imported here: making certificates is slow to load, and not every demo does it.
    from headstart import devca

    made = devca.ensure()
    settings = {"ssl_certfile": str(made.certfile), "ssl_keyfile": str(made.keyfile)}
    return settings, made.ca_certfile
