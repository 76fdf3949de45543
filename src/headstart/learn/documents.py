"""Tell pages from assets: the requests that open a view.

Pure. `learner` asks before the response, and again when its head is known.
"""

from __future__ import annotations

from headstart.learn.exchange import Answer, Request
from headstart.learn.model import Map
from headstart.learn.safety import essence, kind_of_path
from headstart.learn.urls import path_of

# Sec-Fetch-Dest of what opens a view (Fetch, 2.2.7); a fetch() that answers HTML is not a page.
_DOCUMENTS = frozenset(("document", "iframe", "frame"))
_HTML = frozenset(("text/html", "application/xhtml+xml"))


def may_be_page(request: Request, known: Map, max_url: int) -> bool:
    """Return true if a request is likely for a page, before its response.

    Args:
        request: The request.
        known: The map, which knows pages by their paths.
        max_url: A page with a longer target is not learned.
    """
    if len(request.target) > max_url:
        return False
    if request.destination:
        return request.destination in _DOCUMENTS
    # The name first, since it is known sooner: most of what comes here are assets.
    if kind_of_path(request.target) is not None:
        return False
    return request.accepts_html or known.knows_page(request.origin, path_of(request.target))


def is_html(request: Request, answer: Answer, max_url: int) -> bool:
    """Return true if a response opens a view though `may_be_page` did not know it."""
    if answer.status != 200 or (request.destination and request.destination not in _DOCUMENTS):
        return False
    html = "html" in answer.content_type and essence(answer.content_type) in _HTML
    return html and len(request.target) <= max_url


def is_page(answer: Answer) -> bool:
    """Return true if a possible page is one: found, and HTML as far as that is known."""
    if answer.status == 304:
        return True
    if answer.status != 200:
        return False
    return not answer.content_type or essence(answer.content_type) in _HTML
