"""Watch the requests of an application from outside: count, trace and log them.

    observer.py   Observer: the ASGI application around all others
    counts.py     numbers of requests, for the admin port's metrics

The server puts one around the application if any of it is wanted, and none else: then it costs
nothing. Imported by `server` and `admin`.
"""

from headstart.observe.counts import DURATIONS, RequestCounts
from headstart.observe.observer import Observer

__all__ = ["DURATIONS", "Observer", "RequestCounts"]
