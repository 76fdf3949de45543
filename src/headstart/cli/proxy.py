"""`headstart proxy`: a reverse proxy that sends a site's assets ahead, for any site.

Takes the options of `serve`, except those about an application's code, and those of the proxy.
Loaded by the group when it is called; gives a `Proxy` to the code that serves an application.
"""

from __future__ import annotations

import copy
import gc
from typing import Any

import click

from headstart.cli import serve
from headstart.cli.groups import GroupedCommand
from headstart.cli.options import derived, taken
from headstart.config import CacheOptions, ProxyOptions
from headstart.deliver.asgi import Receive, Send
from headstart.proxy import Proxy
from headstart.proxy.reach import refuse_own_address, warn_of_unreachable

# About an application's code, or about fields that a proxy passes on from its upstream.
_NOT_OFFERED = frozenset(
    (
        "app",
        "app_dir",
        "factory",
        "interface",
        "reload",
        "reload_dirs",
        "reload_includes",
        "reload_excludes",
        "reload_delay",
        "server_header",
        "date_header",
        "root_path",
    )
)


# Python's own are 2,000, 10 and 10. A thousand requests under way are thirty thousand objects, of
# which no cycle is ever garbage; to look for some took a fifth of a request's processor time.
_GARBAGE_COLLECTION = (10_000, 20, 50)


class ProxyProcess(Proxy):
    """A proxy in a process of its own: nobody else's objects wait for the garbage collection."""

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        gc.set_threshold(*_GARBAGE_COLLECTION)
        await super()._lifespan(receive, send)


def _proxy(upstream: tuple[str, ...], **given: Any) -> None:
    options = ProxyOptions(**taken(given, ProxyOptions))
    app = ProxyProcess(*upstream, options=options)
    if given["fd"] is None and given["uds"] is None:
        refuse_own_address(app.upstreams, given["host"], given["port"])
    left_out = {
        param.name: param.default
        for param in serve.command.params
        if param.name in _NOT_OFFERED and param.name not in ("app", "app_dir")
    }
    left_out |= {"server_header": False, "date_header": False, "reload": False, "root_path": ""}
    for name in ("reload_dirs", "reload_includes", "reload_excludes"):
        left_out[name] = ()
    serve.run(
        app, "", announce=lambda: warn_of_unreachable(app.upstreams, options), **left_out, **given
    )


def _shared_with_serve() -> list[click.Parameter]:
    """Return the options of `serve`; here the cache is on: a site marks its public responses."""
    params = [copy.copy(param) for param in serve.command.params if param.name not in _NOT_OFFERED]
    for param in params:
        if param.name == "cache":
            param.default = CacheOptions.usual_size
    return params


command = GroupedCommand(
    "proxy",
    params=[
        click.Argument(["upstream"], nargs=-1, required=True),
        *derived(ProxyOptions),
        *_shared_with_serve(),
    ],
    callback=_proxy,
    help="Serve a site that another server makes, and send its assets ahead.\n\n"
    "Each UPSTREAM is http://HOST:PORT, https://HOST:PORT, h2c://HOST:PORT or unix:/PATH; "
    "several serve the same site, and each request goes to the one with the least to do. "
    "All options of `headstart serve` that are not about an application's code work here too.\n\n"
    "\b\n"
    "headstart proxy http://127.0.0.1:8080\n"
    "headstart proxy http://127.0.0.1:8080 --host 0.0.0.0 --port 443 \\\n"
    "    --ssl-certfile cert.pem --ssl-keyfile key.pem\n"
    "headstart proxy unix:/run/site.sock http://10.0.0.2:8080",
    short_help="Serve the site of another server in its place.",
)
