"""A port of its own for the operator: pages, metrics and health (docs/admin.md).

    main process                                 each process that serves
    admin.Admin ─ listener ─ app ─ routes        reporter ─ questions ─ sources
                     └── workers  <── frames ──>  │

One thread of the main process listens, for one process or for `--workers N` and `--reload` alike.
It asks the processes that serve, each over a socket of its own, and touches nothing of theirs. So
a fault here costs the site nothing, and a process that hangs is noticed.

    admin.py      what the command line starts
    access.py     the address, the token, the hosts that may be asked for
    guard.py      the checks of each request; the fields of each response
    app.py        the ASGI application
    routes.py     Request, Response, Route
    pages.py      the table of routes: add yours here
    listener.py   the thread
    frames.py     messages between the processes
    workers.py    the main process' end
    reporter.py   the end of a process that serves
    questions.py  the table of answers: add yours here
    sources.py    the parts of a process that answers are read from
    health.py     /healthz, /readyz
    metrics.py    the metrics, and how those of processes add up
    measures.py   their values in a process that serves; delays.py: of its event loop
    exposition.py /metrics

Started by `cli` through `server.run`.
"""

from headstart.admin.admin import Admin

__all__ = ["Admin"]
