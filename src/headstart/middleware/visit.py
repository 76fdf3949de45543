"""A GET that may be a page's, on its way through the middleware.

Before the application runs: the learner's candidates become decisions, and promises and the 103 go
out. When it answers: the learner is told, and what goes with the response is added to its head.
Reads the scope, leaves its decisions there, and changes what `shared` holds. `middleware` makes one
for each request that opens a view.
"""

from __future__ import annotations

import time
from typing import Any, assert_never

from headstart.deliver.asgi import Message, Scope, Send
from headstart.deliver.decide import Decision, Expected, Way, decide, had
from headstart.deliver.outcome import Hint, Push
from headstart.deliver.request import PageRequest
from headstart.deliver.seen import Memory, Seen, grown, may_carry_cookie, set_cookie
from headstart.learn import How, Request, View
from headstart.middleware.exchange import headers_of, learned_answer
from headstart.middleware.shared import Shared
from headstart.reasons import Refusal

# What a learned push carries of the page's request: what the client can read, never who it is.
_CARRIED = frozenset(
    {b"accept", b"accept-charset", b"accept-encoding", b"accept-language", b"user-agent"}
)


class Visit:
    """One view of a page, or what may be one until it is answered."""

    __slots__ = (
        "_began",
        "_decisions",
        "_page",
        "_request",
        "_scope",
        "_seen",
        "_send",
        "_shared",
        "_view",
    )

    def __init__(
        self,
        shared: Shared,
        scope: Scope,
        send: Send,
        request: Request,
        view: View,
    ) -> None:
        self._shared = shared
        self._scope = scope
        self._send = send
        self._request = request
        self._view = view
        self._decisions: list[Decision] = []
        self._page: PageRequest | None = None
        self._seen: Seen | None = None
        self._began = time.monotonic()

    async def send_ahead(self, now: float) -> None:
        """Decide what this client gets; send promises and the 103 before the application runs."""
        shared, scope, view = self._shared, self._scope, self._view
        options = shared.options
        page = self._page = shared.read(scope)
        memory = shared.memory_of(scope)
        seen = self._seen = page.seen(memory, now, cookie=options.cookie)
        expected = Expected(think_time=shared.think_times.of(view.origin + view.path))
        self._decisions = decide(page, view.candidates, seen, options, expected)
        # For an application that wants to show what was sent ahead of its page.
        scope["headstart.decisions"] = self._decisions
        hints: list[Decision] = []
        for decision in self._decisions:
            match decision.way:
                case Way.PUSH:
                    await self._push(decision, memory)
                case Way.HINT:
                    hints.append(decision)
                case Way.LINK:
                    pass  # goes out with the response
                case Way.NOTHING:
                    if decision.refusal is not None:
                        shared.counters.refused[decision.refusal] += 1
                case _:
                    assert_never(decision.way)
        if hints:
            await self._hint(hints, memory)

    async def _push(self, decision: Decision, memory: Memory) -> None:
        shared = self._shared
        push = Push(decision.candidate.target)
        await self._send(
            {
                "type": "http.response.push",
                "path": push.path,
                "headers": [pair for pair in self._scope["headers"] if pair[0] in _CARRIED],
                "headstart": push,
                "learned": True,
                "urgency": decision.urgency,
            }
        )
        if push.refusal is not None:
            decision.way, decision.refusal = Way.NOTHING, push.refusal
            shared.counters.refused[push.refusal] += 1
            return
        if push:
            shared.under_way.append((self._view, push))
        self._sent(decision, How.PUSHED, memory)

    async def _hint(self, hints: list[Decision], memory: Memory) -> None:
        hint = Hint()
        links = [decision.link() for decision in hints]
        try:
            await self._send(
                {"type": "http.response.early_hint", "links": links, "headstart": hint}
            )
        except OSError:
            raise  # the client has left (ASGI, HTTP, 2.4)
        except Exception as error:
            self._shared.give_up_hints(error)
            for decision in hints:
                decision.way = Way.LINK if self._shared.options.links else Way.NOTHING
                decision.refusal = Refusal.UNSUPPORTED
            return
        for decision in hints:
            if hint.refusal is not None:
                decision.way, decision.refusal = Way.NOTHING, hint.refusal
                self._shared.counters.refused[hint.refusal] += 1
            else:
                self._sent(decision, How.HINTED, memory)

    def _sent(self, decision: Decision, how: How, memory: Memory) -> None:
        shared = self._shared
        shared.counters.sent[decision.way] += 1
        shared.learner.delivered(self._view, decision.candidate.target, how)
        memory.add(decision.candidate.target)

    async def send(self, message: Message) -> None:
        """The application's `send`: the head of its answer tells what it was."""
        if message["type"] == "http.response.start":
            message = self._answered(message)
        await self._send(message)

    def _answered(self, message: Message) -> Message:
        shared, now = self._shared, self._shared.clock()
        headers = headers_of(message)
        answer = learned_answer(message["status"], headers)
        view = shared.learner.complete(self._request, answer, self._view, now)
        if view is None:
            if message["status"] == 200:
                shared.remember(self._scope, self._request)
            return message
        shared.think_times.add(view.origin + view.path, time.monotonic() - self._began)
        more = self._more_fields(view, headers, now)
        return {**message, "headers": [*headers, *more]} if more else message

    def _more_fields(self, view: View, headers: Any, now: float) -> list[tuple[bytes, bytes]]:
        """Link, where neither push nor 103 works, and the cookie that says what the client has."""
        shared, page, seen = self._shared, self._page, self._seen
        if page is None or seen is None:
            return []
        more = []
        for decision in self._decisions:
            if decision.way is Way.LINK:
                more.append((b"link", decision.link()))
                self._sent(decision, How.HINTED, seen.memory)
        name = shared.options.cookie
        if name and may_carry_cookie(headers):
            client_set = grown(seen.cookie, had(self._decisions, page.origin), now)
            if client_set is not None:
                value = set_cookie(client_set, now, secure=page.secure, name=name)
                more.append((b"set-cookie", value))
        return more
