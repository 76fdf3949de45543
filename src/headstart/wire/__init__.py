"""HTTP/2 on the wire, sans-I/O: bytes in, events out; calls in, bytes out.

    events.py      the events of a connection
    fields.py      checks of requests, responses and fields, in both directions
    connection.py  the engine wrapped: the common part of both sides
    server.py      the server's side: its input
    server_output.py  its output, with the push gate
    client.py      the client's side, with its gate for promises
    frame_checks.py  frame headers of a client, ahead of the engine
    server_frames.py  frame headers of a server, ahead of the engine
    guard.py       limits that the engine leaves to us
    frames.py      both directions decoded into frames, beside the connection
    payloads.py    payloads of frames, for frames.py
    upgrades.py    the HTTP/1.1 that asks for HTTP/2, for frames.py
    links.py       the Link header, read and written
    hello.py       the ALPN offer of a TLS client

The only room that imports ngh2. No sockets, no clock: time is a parameter. Nothing here raises
for a peer's bytes; a peer's error is an event. An error of our own side raises `LocalProtocolError`
and sends nothing.
"""
