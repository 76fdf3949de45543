"""Learns from an ASGI application's traffic what its pages need, and sends it ahead.

    middleware   HeadstartMiddleware: which way each call of the application goes
    visit        a GET that may be a page's: what goes out ahead of it and with its answer
    glance       a request that seems of no interest, as most of an API's: a look at its answer
    watch        any other request: what its answer teaches
    lifespan     from the server's start to its end, whether the application knows of it or not
    keeper       the learner and the store, kept in step
    shared       what all requests share: the learner, memories, counters
    exchange     scopes and messages of ASGI as the learner's requests and answers
    think_times  how long pages take to answer

Works in anybody's ASGI server: it reads scopes and messages, and speaks the extensions
`http.response.push` and `http.response.early_hint` where the server offers them. In ours it also
knows connections by identity and what became of each push. The way of a page: `learn` says what it
is likely to need, `deliver` decides what this client gets and how, promises and the 103 go out,
and only then the application runs. Imported by `server.run` and by applications.
"""

from __future__ import annotations

from headstart.middleware.middleware import HeadstartMiddleware
from headstart.middleware.shared import Counters

__all__ = ["Counters", "HeadstartMiddleware"]
