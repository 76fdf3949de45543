"""A GET that may be for a page, on its way through the middleware.

Before the application runs, the learner's candidates become decisions, and promises and the 103 go
out. When the application responds, the learner is told, and links are added to the response's head.
Reads the scope, leaves its decisions there, and changes `shared`. `middleware` makes one for each
request that opens a view.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, assert_never

from headstart.deliver.asgi import Message, Scope, Send
from headstart.deliver.decide import (
    LINK_OVERHEAD,
    NOTHING_EXPECTED,
    Decision,
    Expected,
    Way,
    bytes_of,
    decide,
    had,
    link_room,
    push_urgency,
    view_refusal,
)
from headstart.deliver.outcome import Hint, Push
from headstart.deliver.own_links import OwnLink, links_of, own_links
from headstart.deliver.policy import read_policy
from headstart.deliver.preload import preconnect_value
from headstart.deliver.seen import Seen, grown, may_carry_cookie, set_cookie
from headstart.learn import Answer, Candidate, How, Request, View, is_icon
from headstart.middleware.own_assets import OwnAssets
from headstart.middleware.server_timing import server_timing
from headstart.middleware.shared import Shared
from headstart.middleware.translation import (
    coding_of,
    connection_of,
    headers_of,
    learned_answer,
)
from headstart.middleware.watch import take_part
from headstart.pages import Capture, Opening, opening_of
from headstart.reasons import Refusal

# What a learned push carries of the page's request: what the client can read, never who it is.
_CARRIED = frozenset(
    {b"accept", b"accept-charset", b"accept-encoding", b"accept-language", b"user-agent"}
)


class Visit:
    """One view of a page, or a request that may turn out to be one."""

    __slots__ = (
        "_began",
        "_capture",
        "_control",
        "_decisions",
        "_hinted",
        "_now",
        "_opening",
        "_own",
        "_page",
        "_request",
        "_scope",
        "_seen",
        "_send",
        "_shared",
        "_used",
        "_view",
        "_waiting",
    )

    def __init__(
        self,
        shared: Shared,
        scope: Scope,
        send: Send,
        request: Request,
        view: View,
        now: float,
    ) -> None:
        self._shared = shared
        self._scope = scope
        self._send = send
        self._request = request
        self._view = view
        self._decisions: list[Decision] = []
        self._waiting: list[Decision] = []
        """What the learner would hint, and leaves to the application's own 103."""
        self._control = False
        """It gets nothing, and would if it were not a control view."""
        self._hinted = False
        """A 103 went out."""
        self._used: set[Way] = set()
        """The ways in which assets were sent, or named by the application."""
        page = self._page = shared.read(scope)
        self._now = now
        self._capture: Capture | None = None
        self._opening: Opening | None = None
        self._seen: Seen | None = None
        useful = page.hint_refusal not in (Refusal.TAKES_NO_HINTS, Refusal.UNSUPPORTED)
        self._own = OwnAssets(scope, request.origin + request.target, useful=useful)
        self._began = time.monotonic()

    @property
    def _client(self) -> Seen:
        """Return the assets that the client has; called only if something may be sent."""
        if self._seen is None:
            shared, page = self._shared, self._page
            memory = shared.memory_of(self._scope)
            self._seen = page.seen(memory, self._now, cookie=shared.options.cookie)
        return self._seen

    @property
    def _is_other(self) -> bool:
        """Return true if the last answers of this URL were not pages."""
        return self._shared.habits.is_other(self._view.origin + self._view.path)

    async def begin(self) -> None:
        """Send assets ahead, or record why this view gets nothing."""
        if self._view.withheld is None:
            await self._send_ahead()
        else:
            if self._view.control and not self._is_other:
                self._control = self._compare(self._decide(self._view.judged))
            self._say_nothing(self._view.withheld)

    async def _send_ahead(self) -> None:
        """Decide for this client; send promises and the 103 before the application runs."""
        shared, view = self._shared, self._view
        if self._is_other:
            self._refuse_all(view.candidates, Refusal.NOT_A_PAGE)
            return
        self._decisions = self._decide(view.candidates)
        self._compare(self._decisions)
        shared.counters.candidates += len(self._decisions)
        # For an application that wants to show what was sent ahead of its page.
        self._scope["headstart.decisions"] = self._decisions
        hints: list[Decision] = []
        for decision in self._decisions:
            match decision.way:
                case Way.PUSH:
                    await self._push(decision)
                case Way.HINT:
                    hints.append(decision)
                case Way.LINK:
                    pass  # goes out with the response
                case Way.NOTHING:
                    if decision.refusal is not None:
                        self._refuse(decision, decision.refusal)
                case _:
                    assert_never(decision.way)
        if hints and shared.habits.hints(view.origin + view.path):
            self._waiting = hints
        elif hints:
            await self._hint(hints)

    def _decide(self, candidates: Sequence[Candidate]) -> list[Decision]:
        """Return a decision on each candidate, for this client."""
        shared, view = self._shared, self._view
        expected = Expected(
            think_time=shared.think_times.of(view.origin + view.path),
            guarded=shared.habits.guarded(view.origin, view.path),
            fetching=view.fetching,
            lacking=view.lacking,
            again=shared.learner.again(view),
            proven=view.proven,
        )
        return decide(self._page, candidates, self._client, shared.options, expected)

    def _compare(self, decisions: Sequence[Decision]) -> bool:
        """Measure the view if something is sent ahead of it, or would be. Return whether it is."""
        ways = [decision.way for decision in decisions if decision.way is not Way.NOTHING]
        if ways and self._view.comparable:
            self._shared.learner.compare(self._view, by_push=Way.PUSH in ways)
        return bool(ways)

    def _say_nothing(self, withheld: Refusal) -> None:
        """Leave decisions that say why this view gets nothing, for each likely asset."""
        view = self._view
        likely = self._shared.learner.candidates(view.origin, view.path)
        if not self._request.credentials:
            likely = tuple(candidate for candidate in likely if not candidate.personal)
        # What is likely and was not a candidate is there, at this client.
        known = withheld is Refusal.NOTHING_KNOWN
        self._refuse_all(likely, Refusal.ALREADY_SENT if known else withheld)

    def _refuse_all(self, likely: Sequence[Candidate], refusal: Refusal) -> None:
        if likely:
            self._shared.counters.candidates += len(likely)
            self._shared.counters.refused[refusal] += len(likely)
            self._scope["headstart.decisions"] = [
                Decision(candidate, Way.NOTHING, refusal, 0) for candidate in likely
            ]

    async def _push(self, decision: Decision) -> None:
        push = await self._promise(decision.candidate.target, decision.urgency)
        if push.refusal is not None:
            self._refuse(decision, push.refusal)
            return
        if push:
            self._shared.under_way.append((self._view, push, self._client.memory))
        self._used.add(Way.PUSH)
        self._sent(decision, How.PUSHED)

    async def _promise(self, target: str, urgency: int) -> Push:
        push = Push(target)
        await self._send(
            {
                "type": "http.response.push",
                "path": push.path,
                "headers": [pair for pair in self._scope["headers"] if pair[0] in _CARRIED],
                "headstart": push,
                "learned": True,
                "urgency": urgency,
            }
        )
        return push

    async def _hint(self, hints: list[Decision]) -> None:
        hint = Hint()
        links = [decision.link() for decision in hints]
        links += self._preconnects()
        try:
            await self._send(
                {"type": "http.response.early_hint", "links": links, "headstart": hint}
            )
        except OSError:
            raise  # the client has left (ASGI, HTTP, 2.4)
        except Exception as error:
            self._shared.give_up_hints(error)
            self._link_instead(hints, Refusal.UNSUPPORTED)
            return
        self._hinted = hint.refusal is None
        if self._hinted:
            self._used.add(Way.HINT)
        for decision in hints:
            if hint.refusal is not None:
                self._refuse(decision, hint.refusal)
            else:
                self._sent(decision, How.HINTED)

    def _preconnects(self) -> list[bytes]:
        """Return links to the other origins that the page loads from.

        Their assets are not named: nobody here sees how they are answered, and a browser that may
        not keep one would fetch it twice.
        """
        others = self._shared.learner.others(self._view.origin, self._view.path)
        return [preconnect_value(other.url, cors=other.cors) for other in others]

    def _link_instead(self, hints: list[Decision], refusal: Refusal) -> None:
        for decision in hints:
            if self._shared.options.links:
                decision.way, decision.refusal = Way.LINK, refusal
            else:
                self._refuse(decision, refusal)

    def _refuse(self, decision: Decision, refusal: Refusal) -> None:
        decision.way, decision.refusal = Way.NOTHING, refusal
        self._shared.counters.refused[refusal] += 1

    def _sent(self, decision: Decision, how: How) -> None:
        shared = self._shared
        shared.counters.sent[decision.way] += 1
        shared.learner.delivered(self._view, decision.candidate.target, how)
        self._client.memory.add(decision.candidate.target)

    async def send(self, message: Message) -> None:
        """Send a message of the application.

        The head of its response shows whether it is a page, and its own 103 goes before a learned
        one.
        """
        kind = message["type"]
        if kind == "http.response.early_hint":
            await self._hint_as_told(message)
            return
        if kind == "http.response.start":
            message = await self._answered(message)
        else:
            if self._capture is not None:
                take_part(self._capture, message)
            if self._opening is not None:
                await self._push_as_named(self._opening, message)
        await self._send(message)

    async def _hint_as_told(self, message: Message) -> None:
        """Send the application's 103, with the learned links that waited for it."""
        waiting, own = self._waiting, self._own
        named = {link.target for link in own_links(map(bytes, message["links"]), own.page)}
        more = [decision for decision in waiting if decision.candidate.target not in named]
        links = [decision.link() for decision in more] + self._preconnects()
        if await own.hint(message, self._send, sent=self._hinted, more=links):
            self._hinted = True
            self._used.add(Way.HINT)
            self._waiting = []
            for decision in waiting:
                if decision in more:
                    self._sent(decision, How.HINTED)
                else:
                    self._refuse(decision, Refusal.APPLICATION_SAYS)

    async def _answered(self, message: Message) -> Message:
        shared, now = self._shared, self._shared.clock()
        headers = headers_of(message)
        answer = learned_answer(message["status"], headers)
        view = shared.learner.complete(self._request, answer, self._view, now)
        more = [(b"link", link) for link in self._own.links]
        asked = self._view.origin + self._view.path
        shared.habits.note_answer(asked, message["status"], is_page=view is not None)
        if view is None:
            if message["status"] == 200:
                shared.remember(connection_of(self._scope), self._request)
        else:
            shared.counters.views += 1
            # For the log and for traces; grows while the page goes out.
            self._scope["headstart.ways"] = self._used
            shared.counters.control_views += self._view.control
            shared.diagnosis.viewed(view.origin, self._page.http_version, headers)
            page = view.origin + view.path
            shared.think_times.add(page, time.monotonic() - self._began)
            if self._own.hinted or self._waiting:
                shared.habits.note_hints(page, self._own.hinted)
            said = self._own.say(links_of(headers))
            self._capture = shared.capture(self._request, answer, headers, self._own.named())
            await self._push_as_told(said)
            self._read_opening(answer, headers)
            more = [(b"link", link) for link in self._own.links]
            more += self._more_fields(view, [*headers, *more], now)
            if more:
                self._used.update(Way.LINK for name, _ in more if name == b"link")
            timing = server_timing(self._used, headers, shared.options, control=self._control)
            if timing is not None:
                more.append(timing)
        return {**message, "headers": [*headers, *more]} if more else message

    async def _push_as_told(self, said: list[OwnLink]) -> None:
        """Push the assets in the application's own Link headers to a client that accepts pushes."""
        page, counters = self._page, self._shared.counters
        likely = [link for link in said if link.may_push]
        if page.push_refusal is not None or not likely:
            return
        refusal = view_refusal(page, NOTHING_EXPECTED)
        if self._view.withheld not in (None, Refusal.NOTHING_KNOWN):
            refusal = self._view.withheld
        decisions = self._scope.get("headstart.decisions", ())
        counted = {decision.candidate.target for decision in decisions}
        known = [refusal] * len(likely)
        if refusal is None:
            known = self._client.why_each([link.target for link in likely])
        for link, why_seen in zip(likely, known, strict=True):
            why_not = Refusal.ICON if why_seen is None and is_icon(link.target) else why_seen
            if why_not is None:
                push = await self._promise(link.target, push_urgency(link.kind))
                why_not = push.refusal
            if why_not is not None:
                if link.target not in counted:
                    counters.refused[why_not] += 1
                continue
            self._used.add(Way.PUSH)
            counters.sent[Way.PUSH] += 1
            self._client.memory.add(link.target)
            self._shared.learner.delivered(self._view, link.target, How.PUSHED)

    def _read_opening(self, answer: Answer, headers: Sequence[tuple[bytes, bytes]]) -> None:
        """Read the page's HTML as it goes out, if its client accepts pushes."""
        page, withheld = self._page, self._view.withheld
        if page.push_refusal is not None or withheld not in (None, Refusal.NOTHING_KNOWN):
            return
        if answer.status != 200:
            return
        shared = self._shared
        if shared.reader is None or not shared.options.push_named:
            return
        # A view that gets nothing is read as well: its refusals are counted.
        refused = view_refusal(page, NOTHING_EXPECTED) is not None
        if refused or not shared.learner.choice.is_first_control():
            url = self._request.origin + self._request.target
            self._opening = opening_of(url, answer.content_type, coding_of(headers))

    async def _push_as_named(self, opening: Opening, message: Message) -> None:
        """Push the assets that a part of the page's HTML names, before the part goes out."""
        shared, options = self._shared, self._shared.options
        if message["type"] != "http.response.body" or opening.done:
            self._opening = None
            return
        candidates = shared.learner.choice.first_candidates(
            self._view,
            opening.add(bytes(message.get("body", b""))),
            credentials=self._request.credentials,
        )
        if not candidates:
            return
        pushed = [each.candidate for each in self._decisions if each.way is Way.PUSH]
        room = options.max_push_bytes - sum(bytes_of(candidate) for candidate in pushed)
        left = replace(
            options, max_push_bytes=max(0, room), max_assets=options.max_assets - len(pushed)
        )
        expected = Expected(fetching=self._view.fetching, lacking=self._view.lacking)
        decisions = decide(self._page, candidates, self._client, left, expected)
        shared.counters.candidates += len(decisions)
        for decision in decisions:
            if decision.way is Way.PUSH:
                await self._push(decision)
            elif decision.refusal is not None:
                self._refuse(decision, decision.refusal)
        self._decisions += decisions
        self._scope.setdefault("headstart.decisions", self._decisions)

    def _more_fields(self, view: View, headers: Any, now: float) -> list[tuple[bytes, bytes]]:
        """Return the Link headers of a view without push and 103, and the cookie for the client's
        assets.
        """
        shared, page = self._shared, self._page
        policy = read_policy(headers, page.origin)
        shared.habits.note_guarded(view.origin, view.path, policy.with_nonce | policy.barred)
        self._link_instead(self._waiting, Refusal.APPLICATION_HINTS)
        more = self._cookie(headers, now)
        room = link_room(page, [*headers, *more], shared.options, shared.added_fields)
        for decision in self._decisions:
            if decision.way is not Way.LINK:
                continue
            kind = decision.candidate.asset.kind
            link = decision.link(policy.nonce if kind in policy.with_nonce else "")
            size = len(link) + LINK_OVERHEAD
            if decision.candidate.target in self._own.said:
                self._refuse(decision, Refusal.APPLICATION_SAYS)
            elif kind in policy.barred:
                self._refuse(decision, Refusal.POLICY)
            elif size > room:
                self._refuse(decision, Refusal.OVER_BUDGET)
            else:
                room -= size
                more.append((b"link", link))
                self._sent(decision, How.HINTED)
        return more

    def _cookie(self, headers: Any, now: float) -> list[tuple[bytes, bytes]]:
        """Return the field with the cookie for the client's assets, if there is one to set.

        A client may not follow a link in the page's own response, so the cookie has none of those.
        """
        page, name = self._page, self._shared.options.cookie
        if not name or not self._decisions or not may_carry_cookie(headers):
            return []
        client_set = grown(self._client.cookie, had(self._decisions, page.origin), now)
        if client_set is None:
            return []
        return [(b"set-cookie", set_cookie(client_set, now, secure=page.secure, name=name))]
