"""Flask: hint the assets of a page from a view.

    from headstart.flask import hint

    @app.get("/")
    def page():
        hint("/static/app.css")
        ...

A 103 goes out where the server offers one: `headstart serve --interface wsgi`, or gunicorn from
version 24 on. Everywhere else, the links become `Link` headers of the response. Only this module
imports Flask.
"""

from __future__ import annotations

from flask import Response, after_this_request, request

import headstart.wsgi.hints as wsgi
from headstart.deliver.outcome import Hint
from headstart.reasons import Refusal
from headstart.wire.links import Link, as_link

__all__ = ["hint"]


def hint(*links: Link | str) -> Hint:
    """Send a 103 with all the links together, since browsers read only one.

    Call it in a view, before its slow part. Hinted resources must be cacheable, or a browser
    fetches them twice. Links with `media`, `integrity`, `nonce` or `imagesrcset`, of which Chromium
    takes none from a 103, wait for the response.

    Args:
        links: A string is a URL whose extension tells its use, such as
            `url_for("static", filename="app.css")`.

    Returns:
        True if the links were handed to the server (`sent`), or go with the response (`linked`).
        Over HTTP/1.1 under gunicorn they do both, because a proxy in between may drop the 103.

    Raises:
        LinkError: The name of a target does not tell its use.
    """
    made = [as_link(link) for link in links]
    answer = Hint()
    if not made:
        answer.refuse(Refusal.NO_LINKS)
        return answer
    early = [link for link in made if link.early() == link]
    answer.sent = wsgi.hint(request.environ, *early)
    whole = answer.sent and not wsgi.needs_links(request.environ)
    left = [link for link in made if not whole or link not in early]

    def add_links(response: Response) -> Response:
        for link in left:
            response.headers.add("Link", link.field_value().decode())
        return response

    if left:
        after_this_request(add_links)
        if not answer:
            answer.link()
    return answer
