"""The ASGI server: HTTP/2, HTTP/1.1 and WebSockets are ours, the rest uvicorn's own.

    protocol.py  accepts connections and finds the protocol of each: ALPN or preface
    http1.py     one HTTP/1.1 connection; http1_*.py are its parts
    websocket.py one WebSocket; websocket_*.py are its parts
    http2.py     one HTTP/2 connection on an asyncio transport: bytes in, events, bytes out
    http2_streams.py   its streams: which are admitted, and what handles each
    http2_lifetime.py  its timeouts and its end
    lingering.py the end of a connection whose client still sends
    scope.py     ASGI scopes: the extensions that each request gets
    ahead.py     pushes and hints of one connection
    cycle.py     one request <-> one call of the application
    worker.py    the state that all connections of a process share
    reachable.py links that are lost, as TCP knows them
    admission.py the number of connections, in all and per address
    memory.py    the memory in use, and its limit
    refusals.py  reasons for refusals, in the log
    counters.py  reasons for refusals, in numbers
    run.py       uvicorn's Config and Server with our protocol
    checks.py    faults that keep the server from starting
    logs.py      the log without --log-config

The way of a request: transport -> `Http2ServerConnection` -> `wire.server` -> `Http2Streams` ->
`Cycle` -> application, and back the same way. Over HTTP/1.1, `Http1Connection` and `RequestParser`
take the places of the first three. A pushed request re-enters at `Cycle` as a request of its own.
"""
