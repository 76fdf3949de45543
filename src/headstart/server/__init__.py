"""The ASGI server: HTTP/2 is ours, HTTP/1.1 is uvicorn's behind our checks, the rest uvicorn's own.

    protocol.py  which connections are taken in, and which protocol each speaks: ALPN or preface
    http1.py     one HTTP/1.1 connection: uvicorn's, checked and timed
    http2.py     one HTTP/2 connection on an asyncio transport
    scope.py     ASGI scopes: what is offered to which request
    ahead.py     pushes and hints of one connection
    cycle.py     one request <-> one call of the application
    worker.py    what all connections of a process share: the clock, and what is below
    admission.py how many connections there may be, in all and of one address
    memory.py    how much memory is used, and when that is too much
    refusals.py  why connections ended and requests were refused, in the log
    counters.py  and in numbers
    run.py       uvicorn's Config and Server with our protocol; checks before the start

The way of a request: transport -> `Http2Connection` -> `wire.server` -> `Cycle` -> application, and
back the same way. A pushed request re-enters at `Cycle` as a request of its own.
"""
