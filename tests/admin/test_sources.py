"""The parts of a process that serves, from which answers are read."""

from __future__ import annotations

from typing import Any

from headstart.admin.sources import Sources, layers
from headstart.cache import CacheMiddleware
from headstart.config import CacheOptions
from headstart.middleware import HeadstartMiddleware
from headstart.proxy import Proxy
from headstart.server.run import Config
from headstart.server.workers import Server
from tests.server.apps import hello


def sources(app: Any) -> Sources:
    config = Config(app, log_config=None)
    config.load()
    return Sources(Server(config))


async def test_middleware_cache_and_proxy_are_found_around_and_in_the_application() -> None:
    proxy = Proxy("http://127.0.0.1:1")
    cache = CacheMiddleware(proxy, CacheOptions(cache=1024))
    middleware = HeadstartMiddleware(cache)

    found = sources(middleware)

    assert (found.middleware, found.cache, found.proxy) == (middleware, cache, proxy)
    assert found.open_streams() == 0


async def test_application_alone_has_none_of_them() -> None:
    found = sources(hello)

    assert (found.middleware, found.cache, found.proxy) == (None, None, None)


class Foreign:
    """A layer of somebody else's, whose `app` may be anything."""

    def __init__(self, app: Any) -> None:
        self.app = app


def test_layers_are_followed_as_far_as_they_are_known() -> None:
    foreign: Any = Foreign(hello)
    middleware = HeadstartMiddleware(foreign)

    assert list(layers(middleware)) == [middleware, foreign]
    assert list(layers(None)) == []
