"""Django: hint the assets of a page from a view or a template, under ASGI and WSGI.

    hint(request, static("app.css"))     in a view
    await ahint(request, "/app.css")     in an asynchronous view
    {% headstart "app.css" "app.js" %}   in a template: the elements and the hint
    headstart.django.hint_middleware     adds the links that no 103 could take to the response

A 103 goes out where the server offers one: `headstart serve`, an ASGI server with
`HeadstartMiddleware`, or gunicorn from version 24 on. Everywhere else, the middleware turns the
links into `Link` headers. The modules of this package import Django; nothing else of ours does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from inspect import iscoroutinefunction
from typing import TypeAlias, TypeGuard

from asgiref.sync import async_to_sync
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

import headstart.deliver.hint as asgi
import headstart.wsgi.hints as wsgi
from headstart.deliver.asgi import current_send
from headstart.deliver.outcome import Hint
from headstart.reasons import Refusal
from headstart.wire.links import Link, as_link

__all__ = ["ahint", "hint", "hint_middleware"]

_WAITING = "headstart.links"
"""The key in `request.META` of the links that wait for the response."""
_SENT = "headstart.sent"
"""The key in `request.META` of the links that went out in a 103."""

GetResponse: TypeAlias = Callable[[HttpRequest], HttpResponseBase]
AsyncGetResponse: TypeAlias = Callable[[HttpRequest], Awaitable[HttpResponseBase]]


def hint(request: HttpRequest, *links: Link | str) -> Hint:
    """Send a 103 with all the links together, since browsers read only one.

    Call it before the slow part of a view. Hinted resources must be cacheable, or a browser fetches
    them twice. Links with `media`, `integrity`, `nonce` or `imagesrcset`, of which Chromium takes
    none from a 103, wait for the response.

    Args:
        request: The page's.
        links: A string is a URL whose extension tells its use, such as `static("app.css")`.

    Returns:
        True if the links were handed to the server (`sent`), or if `hint_middleware` adds them to
        the response (`linked`). Over HTTP/1.1 under gunicorn both happen, because a proxy in
        between may drop the 103. Otherwise `refusal` says why: `NO_LINKS` if all went out before.

    Raises:
        LinkError: The name of a target does not tell its use.
    """
    made = _new(request, links)
    early = [link for link in made if link.early() == link]
    answer = Hint()
    if not early:
        pass
    elif not _is_asgi(request):
        answer.sent = wsgi.hint(request.META, *early)
    elif current_send.get() is not None and not _in_event_loop():
        answer = async_to_sync(asgi.hint)(request, *early)
    whole = bool(answer) and (_is_asgi(request) or not wsgi.needs_links(request.META))
    return _settled(request, made, early if whole else [], answer)


async def ahint(request: HttpRequest, *links: Link | str) -> Hint:
    """Send a 103 from an asynchronous view, as `hint` does from a synchronous one."""
    made = _new(request, links)
    early = [link for link in made if link.early() == link]
    answer = Hint()
    if early and _is_asgi(request) and current_send.get() is not None:
        answer = await asgi.hint(request, *early)
    return _settled(request, made, early if answer else [], answer)


def _new(request: HttpRequest, links: Iterable[Link | str]) -> list[Link]:
    """Return the links that went out in no 103 for this request yet."""
    sent: set[Link] = request.META.get(_SENT, set())
    return [link for link in map(as_link, links) if link not in sent]


class _AsgiRequest(HttpRequest):
    """A request that came over ASGI, as far as it is of interest here."""

    scope: dict[str, object]


def _is_asgi(request: HttpRequest) -> TypeGuard[_AsgiRequest]:
    return hasattr(request, "scope")


def _in_event_loop() -> bool:
    """Return true in an asynchronous view, where nothing can wait for a 103 without `await`."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _settled(request: HttpRequest, links: list[Link], sent: list[Link], answer: Hint) -> Hint:
    """Keep the links that were not sent for the response; return the result for all of them."""
    left = [link for link in links if link not in sent]
    request.META.setdefault(_SENT, set()).update(sent)
    if not links:
        answer.refuse(Refusal.NO_LINKS)
    elif left and _WAITING in request.META:
        request.META[_WAITING] += [link.field_value().decode() for link in left]
        if not answer:
            answer.link()
    elif not answer and answer.refusal is None:
        answer.refuse(Refusal.UNSUPPORTED)
    return answer


@sync_and_async_middleware
def hint_middleware(
    get_response: GetResponse | AsyncGetResponse,
) -> GetResponse | AsyncGetResponse:
    """Add the links that no 103 could take to the response, as `Link` headers."""
    if _is_async(get_response):
        wait_for_response = get_response

        async def asynchronous(request: HttpRequest) -> HttpResponseBase:
            links: list[str] = request.META.setdefault(_WAITING, [])
            return _linked(await wait_for_response(request), links)

        return asynchronous

    def synchronous(request: HttpRequest) -> HttpResponseBase:
        links: list[str] = request.META.setdefault(_WAITING, [])
        response = get_response(request)
        assert isinstance(response, HttpResponseBase)
        return _linked(response, links)

    return synchronous


def _is_async(get_response: GetResponse | AsyncGetResponse) -> TypeGuard[AsyncGetResponse]:
    return iscoroutinefunction(get_response)


def _linked(response: HttpResponseBase, links: Iterable[str]) -> HttpResponseBase:
    said = response.headers.get("Link", "")
    values = [said] if said else []
    values += [link for link in dict.fromkeys(links) if link not in said]
    if values:
        response.headers["Link"] = ", ".join(values)
    return response
