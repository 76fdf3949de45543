"""Show the frames of all connections for `start --dump` and `wiretap`.

    tap.py           decodes the bytes and passes the frames to a writer
    text.py          the choice of frames, and frames as text
    jsonlines.py     frames as JSON
    har.py           the exchanges of exchanges.py as an HTTP archive
    exchanges.py     frames into exchanges
    cookies.py       cookies in the form of HTTP archives
    sink.py          the dump's output: a file or standard output

Nothing here disturbs a connection. Used by the background process and by `wiretap`.
"""
