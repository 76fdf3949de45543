"""Watch the requests of an application from outside: trace and log them.

    observer.py    Observer: the ASGI application around all others
    exchange.py    one request and its response, as it passes
    delivered.py   what was sent ahead with a page
    json_lines.py  log records as JSON
    access.py      the access log as fields
    tracing.py     is there somebody who takes spans?
    spans.py       spans for OpenTelemetry
    attributes.py  their attributes
    sampling.py    samplers that need not be asked
    trace.py       the place of a request in its trace, for the application and the upstream

The server puts one around the application if any of it is wanted, and none else: then it costs
nothing. Imported by `server` and `proxy`.
"""

from headstart.observe.observer import Observer
from headstart.observe.trace import TracePassing
from headstart.observe.tracing import Tracing, check_tracing

__all__ = ["Observer", "TracePassing", "Tracing", "check_tracing"]
