"""Headstart sends a page's assets before the client asks for them.

    PushBuilder, push   an application pushes the assets of a page (HTTP/2 Server Push)
    hint, Link          an application hints the assets of a page (103 Early Hints)
    HeadstartMiddleware learns the assets of pages and sends them ahead, in any ASGI server
    AsyncClient, Client an HTTP/2 client that takes pushes
    Proxy               an ASGI application that asks an upstream server

docs/api.md lists the public interface; every other name is internal and may change.

Names are imported when they are first used: `import headstart` alone loads nothing, so that the
`h2c` command starts quickly.
"""

from __future__ import annotations

TYPE_CHECKING = False  # to import it from typing takes half as long as Python takes to start
if TYPE_CHECKING:
    from headstart.client import AsyncClient as AsyncClient
    from headstart.client import Client as Client
    from headstart.deliver.hint import hint as hint
    from headstart.deliver.outcome import Hint as Hint
    from headstart.deliver.outcome import Push as Push
    from headstart.deliver.outcome import PushState as PushState
    from headstart.deliver.push import PushBuilder as PushBuilder
    from headstart.deliver.push import push as push
    from headstart.errors import ConfigurationError as ConfigurationError
    from headstart.errors import HeadstartError as HeadstartError
    from headstart.errors import LocalProtocolError as LocalProtocolError
    from headstart.middleware import HeadstartMiddleware as HeadstartMiddleware
    from headstart.proxy import Proxy as Proxy
    from headstart.reasons import Refusal as Refusal
    from headstart.wire.links import Link as Link

try:
    from headstart._version import VERSION as _VERSION
except ImportError:  # the source itself, neither built nor installed
    _VERSION = "0.0.0"

__version__ = _VERSION

_HOMES = {
    "AsyncClient": "headstart.client",
    "Client": "headstart.client",
    "ConfigurationError": "headstart.errors",
    "HeadstartError": "headstart.errors",
    "HeadstartMiddleware": "headstart.middleware",
    "Hint": "headstart.deliver.outcome",
    "Link": "headstart.wire.links",
    "LocalProtocolError": "headstart.errors",
    "Proxy": "headstart.proxy",
    "Push": "headstart.deliver.outcome",
    "PushBuilder": "headstart.deliver.push",
    "PushState": "headstart.deliver.outcome",
    "Refusal": "headstart.reasons",
    "hint": "headstart.deliver.hint",
    "push": "headstart.deliver.push",
}

__all__ = [
    "AsyncClient",
    "Client",
    "ConfigurationError",
    "HeadstartError",
    "HeadstartMiddleware",
    "Hint",
    "Link",
    "LocalProtocolError",
    "Proxy",
    "Push",
    "PushBuilder",
    "PushState",
    "Refusal",
    "hint",
    "push",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'headstart' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(["__version__", *__all__])
