"""A shared cache (RFC 9111) around an ASGI application, in memory.

    middleware.py   CacheMiddleware: from the cache, or from the application and into the cache
    fetch.py        one call of the application, recorded if its response may be stored
    serve.py        a stored response as ASGI messages: whole, a range of it, or 304
    memory.py       the stored responses of one process, bounded in bytes
    requests.py     the parts of a request that the cache decides by, and its keys
    policy.py       which responses may be stored, and for how long they are fresh
    control.py      list and purge in a running server, over a Unix socket

It stores only responses for any user with an explicit lifetime: no guesses from
Last-Modified. `policy` and `requests` are stricter than RFC 9111 where a site's mistake would show
one user's page to another, or let a client's unusual header affect the responses of others.

Put around an application by `server.run`, or by an application itself.
"""

from headstart.cache.memory import Memory
from headstart.cache.middleware import CacheMiddleware

__all__ = ["CacheMiddleware", "Memory"]
