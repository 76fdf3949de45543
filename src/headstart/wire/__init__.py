"""HTTP/2 on the wire, sans-I/O: bytes in, events out; calls in, bytes out.

    events.py      what can happen on a connection
    fields.py      which requests, responses and fields are well-formed, in both directions
    connection.py  the engine wrapped: what a server's and a client's side share
    server.py      the server's side, with the push gate
    client.py      the client's side, with its gate for promises
    walker.py      frame headers of what a client sends, ahead of the engine
    answers.py     the same of what a server sends
    guard.py       limits that the engine leaves to us
    frames.py      both directions decoded into frames, beside the connection
    payloads.py    what a frame's payload says, for frames.py
    upgrades.py    the HTTP/1.1 that asks for HTTP/2, for frames.py
    links.py       the Link header, read and written

The only room that imports ngh2. No sockets, no clock: time is a parameter. Nothing here raises on
what a peer sends; a peer's mistake is an event. What our own side does wrong raises
`LocalProtocolError` and puts nothing on the wire.
"""
