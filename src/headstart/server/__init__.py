"""The ASGI server: HTTP/2 is ours, everything else is uvicorn's.

    protocol.py  which protocol a connection speaks: ALPN or preface; HTTP/1.1 goes to uvicorn
    http2.py     one HTTP/2 connection on an asyncio transport
    scope.py     ASGI scopes: what is offered to which request
    ahead.py     pushes and hints of one connection
    cycle.py     one request <-> one call of the application
    run.py       uvicorn's Config and Server with our protocol; checks before the start

The way of a request: transport -> `Http2Connection` -> `wire.server` -> `Cycle` -> application, and
back the same way. A pushed request re-enters at `Cycle` as a request of its own.
"""
