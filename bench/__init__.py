"""`python -m bench`: Headstart beside the servers that people would use instead.

A scenario (`scenarios`) says what is asked of a server: which application, how many connections
and streams, which body. All servers (`servers`) run at once, each alone under load, and take turns
in rounds (`rounds`), so that a machine that slows down slows all of them. What counts is therefore
not a rate but the ratio within one round, and of those the median and the spread (`report`). The
load comes from h2load (`load`), or, where h2load cannot (it refuses pushes), from a client that
walks frames (`pushes`); a new kind of measurement is one function and one entry in `rounds`.
"""
