"""`python -m bench`: Headstart beside the servers and clients that people would use instead.

A scenario (`scenarios`) says what is asked for: which application, how many connections and
streams, which body. All servers (`servers`) run at once, each alone under load and on a core of its
own (`cores`), and take turns in rounds (`rounds`), so that a machine that slows down slows all of
them. What counts is therefore not a rate but the ratio within one round, and of those the median
and the spread (`sample`). A tool measures: h2load (`load`), or where it cannot, clients that walk
frames (`pushes`, `latency`, `idle`); a new kind of measurement is one function and one entry in
`rounds`. Clients take turns in `clients`. `jobs` says who measures what; `store` keeps results, and
has `report`, `targets` and `picture` show them.
"""
