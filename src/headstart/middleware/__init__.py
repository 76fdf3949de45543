"""Learn from an ASGI application's traffic which assets its pages need, and send them ahead.

    middleware   HeadstartMiddleware: the way of each call of the application
    visit        a GET that may be for a page: sends assets ahead and with the response
    probe        a request that is probably not for a page: checks its response
    rum          a script that reports how soon browsers show pages, and its endpoint
    watch        any other request: learns from its response
    lifespan     the server's start and end, with or without the application's support
    keeper       keeps the learner and the store in step
    shared       state that all requests share: the learner, memories, counters
    translation  ASGI scopes and messages as the learner's requests and responses
    own_assets   assets that an application names itself, in a 103 or in Link headers
    think_times  how long pages take to respond
    habits       properties of earlier responses of pages
    diagnosis    reasons why less is learned than could be, for the operator

Works in any ASGI server: it reads scopes and messages, and uses the extensions
`http.response.push` and `http.response.early_hint` where the server offers them. In our server it
also identifies connections and learns the result of each push. The way of a page: `learn` names the
assets that it is likely to need, `deliver` decides which of them this client gets and how, promises
and the 103 go out, and only then does the application run. Imported by `server.run` and by
applications.
"""

from __future__ import annotations

from headstart.config import DeliverOptions
from headstart.learn import LearnOptions
from headstart.middleware.middleware import HeadstartMiddleware
from headstart.middleware.shared import DeliveryCounters
from headstart.store import MemoryStore, Store, StoreError, open_store

__all__ = [
    "DeliverOptions",
    "DeliveryCounters",
    "HeadstartMiddleware",
    "LearnOptions",
    "MemoryStore",
    "Store",
    "StoreError",
    "open_store",
]


def __dir__() -> list[str]:
    return sorted(__all__)
