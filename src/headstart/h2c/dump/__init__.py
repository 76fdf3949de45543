"""What `start --dump` and `wiretap` show: the octets of all connections, decoded beside their way.

    tap.py           decodes them, and hands the frames to a writer
    text.py          which frames are shown and how; frames as text
    jsonlines.py     frames as JSON
    har.py           exchanges as an HTTP archive, of what exchanges.py puts together
    exchanges.py     frames into exchanges
    cookies.py       cookies as archives have them
    codings.py       content without gzip or deflate
    sink.py          the file or standard output that a dump goes to

Nothing here disturbs a connection. Used by the background process and by `wiretap`.
"""
