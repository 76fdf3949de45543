"""Learn from the response to a request that opens no view: an asset, a call of an API, a push.

Reads the head of the response, changes nothing of it, and tells the learner. Called by `middleware`
around the application's `send`; `probe` calls `answered` if the response matters.
"""

from __future__ import annotations

from collections.abc import Awaitable

from headstart.deliver.asgi import Message, Scope, Send
from headstart.deliver.held import HELD
from headstart.learn import Arrival, Request
from headstart.middleware.shared import Shared
from headstart.middleware.translation import (
    connection_of,
    headers_of,
    learned_answer,
    learned_request,
)
from headstart.pages import Capture

_STYLE = "text/css"
# ASGI extensions that send a body which the middleware does not see.
_UNSEEN = frozenset(("http.response.pathsend", "http.response.zerocopysend"))


def watched(shared: Shared, scope: Scope, request: Request, send: Send) -> Send:
    """Return a `send` for a request that is probably not for a page.

    It changes no message, but for links that the application hints at.
    """
    capture: Capture | None = None
    arriving: Arrival | None = None

    def watched_send(message: Message) -> Awaitable[None]:
        nonlocal capture, arriving
        if message["type"] == "http.response.start":
            capture = answered(shared, scope, request, message)
            arriving = shared.asset_requests.arriving
            return send(scope[HELD].released(message))
        if capture is not None:
            take_part(capture, message)
        if arriving is not None and not message.get("more_body"):
            view, kind = arriving
            view.arrived(kind, shared.clock())
        return send(message)

    return watched_send


def answered(shared: Shared, scope: Scope, request: Request, message: Message) -> Capture | None:
    """Handle the head of the response to a request without a view.

    Returns:
        A reader for the body, if it is a page or a stylesheet that is to be read.
    """
    status: int = message["status"]
    fields = headers_of(message)
    answer = learned_answer(status, fields)
    view = shared.learner.complete(request, answer, None, shared.clock())
    if view is not None:
        return shared.capture(request, answer, fields)
    capture = None
    if status == 200:
        if shared.learner.is_viewer(request):
            shared.diagnosis.asked(request, answer)
            if answer.content_type.startswith(_STYLE):
                capture = shared.capture_sheet(request, answer, fields)
        shared.remember(connection_of(scope), request)
    return capture


def take_part(capture: Capture, message: Message) -> None:
    """Take a part of a page's body, where a message holds one."""
    if message["type"] == "http.response.body":
        # An application may write into a bytearray again once it was sent.
        capture.add(bytes(message.get("body", b"")), more=message.get("more_body", False))
    elif message["type"] in _UNSEEN:
        capture.give_up()


def watched_push(shared: Shared, scope: Scope, send: Send) -> Send:
    """Return a `send` for a pushed request.

    It teaches nothing but that an asset is no longer there for everybody, and when it is sent.
    """

    async def watched_send(message: Message) -> None:
        if message["type"] == "http.response.start":
            answer = learned_answer(message["status"], headers_of(message))
            shared.learner.pushed(learned_request(scope, shared.referer), answer)
        elif not message.get("more_body"):
            request = learned_request(scope, shared.referer)
            shared.learner.push_ended(request, shared.clock())
        await send(message)

    return watched_send
