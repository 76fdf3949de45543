"""WSGI applications (PEP 3333) as ASGI applications.

    adapter.py   WsgiApplication, and one `WsgiCall` for each request
    environ.py   the environ of a request
    gathering.py content without a length, gathered so that it has one
    body.py      `wsgi.input`: the request's body as a file
    response.py  start_response, write() and the iterable, in the thread
    outbox.py    messages on their way from the thread to the event loop
    hints.py     `wsgi.early_hints`, and the function that calls it here and under gunicorn
    threads.py   the threads that call the application

`server.run` puts `WsgiApplication` around the application for `--interface wsgi`.
WSGI applications call `hint`.
"""

from __future__ import annotations

from headstart.wsgi.adapter import WsgiApplication
from headstart.wsgi.hints import hint

__all__ = ["WsgiApplication", "hint"]
