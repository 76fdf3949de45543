"""Show the frames of all connections for `start --dump` and `wiretap`.

    tap.py           decodes the bytes, passes the frames to a writer, and writes its output
    settings.py      the format and the choice of frames
    text.py          frames as text and as JSON
    har.py           the exchanges of exchanges.py as an HTTP archive
    exchanges.py     frames into exchanges

Nothing here disturbs a connection. Used by the background process and by `wiretap`.
"""
