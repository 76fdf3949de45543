"""What the answer teaches to a request that opens no view: an asset, a call of an API, a push.

Reads the head of the answer, changes nothing of it, and tells the learner. Called by `middleware`
around the application's `send`; `glance` calls `answered` where its glance found something.
"""

from __future__ import annotations

from collections.abc import Awaitable

from headstart.deliver.asgi import Message, Scope, Send
from headstart.learn import Request
from headstart.middleware.exchange import headers_of, learned_answer, learned_request
from headstart.middleware.shared import Shared


def watched(shared: Shared, scope: Scope, request: Request, send: Send) -> Send:
    """A `send` for what is no page: it looks at the answer's head and changes nothing."""

    def watched_send(message: Message) -> Awaitable[None]:
        if message["type"] == "http.response.start":
            answered(shared, scope, request, message)
        return send(message)

    return watched_send


def answered(shared: Shared, scope: Scope, request: Request, message: Message) -> None:
    """The head of the answer to a request without a view has come."""
    status: int = message["status"]
    answer = learned_answer(status, headers_of(message))
    view = shared.learner.complete(request, answer, None, shared.clock())
    if view is None and status == 200:
        shared.remember(scope, request)


def watched_push(shared: Shared, scope: Scope, send: Send) -> Send:
    """A `send` for a pushed request.

    It teaches nothing but that an asset is no longer there for everybody.
    """

    async def watched_send(message: Message) -> None:
        if message["type"] == "http.response.start":
            answer = learned_answer(message["status"], headers_of(message))
            shared.learner.pushed(learned_request(scope, shared.referer), answer)
        await send(message)

    return watched_send
