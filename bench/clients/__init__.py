"""Clients under load: headstart.AsyncClient and `h2c` beside httpx, niquests and curl.

    worker.py            one Python client in a process of its own, and what it prints
    with_headstart.py    } the same two tasks for each Python client: many small GETs on one
    with_httpx.py        } connection, and one large response read in parts
    with_niquests.py     }
    with_httpx_headstart.py  httpx over `headstart.httpx`
    contest.py           turns and rounds; curl and `h2c` are asked here

The origin is nghttpd, which is none of theirs. It has the load's cores, each client in turn that of
the server under load.
"""
