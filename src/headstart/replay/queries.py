"""Decide which URLs with a query a log shows to be files that all clients share.

A live server sees whether a response has a validator, and learns no asset with a query without one.
Most logs have no such field, so the log's own evidence takes its place. It is stricter than the
live rule, because a log cannot show `private`, `no-store`, `Set-Cookie` or `Vary` either:

- The path ends in the name of a stylesheet, script, font or image, and no part of it names a script
  of the server.
- Three voters asked for the URL and got it, with two user agents. One person with a token in the
  URL comes from several addresses (at home, at work, by phone), mostly with one browser.
- They are more than half of the last 16 voters who asked for the path. A token has few voters among
  those with other tokens, and a query that changes with each request has one.
- An image was answered 304. An image with a query may count visits, and such a counter never says
  that it has not changed. Servers give all files a validator, so other kinds need no 304: their
  visitors may come only once.

The second voter's request is learned already, since the map sends nothing before a third voter
confirms it. A URL is taken back if its path gets another version, or the log ends, and it does not
have all of this.

Pure; owned by `ideal`. Keeps hashes of the voters of at most 1,000 paths, and for each path the few
URLs that more than half of them share, so a log of distinct queries needs no more memory.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias

from headstart.learn.clients import voter_of
from headstart.learn.exchange import Answer, Request
from headstart.learn.safety import Kind, Unlearnable, kind_of, kind_of_path, refusal
from headstart.learn.urls import path_of

Url: TypeAlias = tuple[str, str]
"""Origin and target."""

_VOTERS = 3
_AGENTS = 2
_LEARNED_FROM = 2
# Voters of a path that are remembered, and queries of each: pages load a file in a few versions.
_WINDOW = 16
_QUERIES = 4
_PATHS = 1_000
# URLs that are counted as left out.
_COUNTED = 10_000
# A program of the server that answers for the path behind it: /index.php/style.css.
_PROGRAM = re.compile(
    r"\.(?:php\d?|phtml|f?cgi|pl|py|rb|aspx?|ashx|jspx?|do|action|cfm)(?:[/;]|%2f|%3b)",
    re.IGNORECASE | re.ASCII,
)


class SharedQueries:
    """The URLs with a query that several clients of a log asked for.

    Args:
        max_url: The length of the longest URL that is learned.
        withdraw: Told of each URL that was learned, and that the log does not vouch for after all.

    Attributes:
        left_out: Hashes of the URLs that two voters asked for and that are not learned; of 10,000.
    """

    def __init__(self, max_url: int, withdraw: Callable[[Url], None]) -> None:
        self.left_out: set[int] = set()
        self._withdraw = withdraw
        self._max_url = max_url
        # The path that was asked for last is the last.
        self._paths: dict[int, _SharedPath] = {}

    def judged(self, request: Request, answer: Answer) -> Answer:
        """Take a request for an asset.

        Returns:
            The answer, `validated` if the log shows that the URL names a file of all clients.
        """
        target = request.target
        has_query = "?" in target
        if answer.status not in (200, 304) or not (has_query or self._paths):
            return answer
        key = hash((request.origin, path_of(target)))
        path = self._paths.get(key)
        if not has_query:
            # Clients that need no query for this file speak against those who add one.
            if path is not None:
                path.take(request, 0)
            return answer
        if not self._needs_evidence(request, answer):
            return answer
        path = self._path(key)
        query = hash(target)
        path.take(request, query)
        if answer.status == 304:
            path.unchanged[query] = None
            if len(path.unchanged) > _QUERIES:
                del path.unchanged[next(iter(path.unchanged))]
        return answer._replace(validated=True) if self._learns(path, query, request) else answer

    def finish(self) -> None:
        """Take that the log has ended."""
        for path in self._paths.values():
            self._settle(path)

    def _needs_evidence(self, request: Request, answer: Answer) -> bool:
        """Return whether only the lack of a validator speaks against the asset."""
        named = kind_of_path(request.target)
        if answer.validated is not None or _PROGRAM.search(path_of(request.target)):
            return False
        found = answer if answer.status == 200 else answer._replace(status=200)
        if kind_of(request, found) is not named or named is None:
            return False
        return refusal(request, found, self._max_url) is Unlearnable.QUERY

    def _path(self, key: int) -> _SharedPath:
        path = self._paths.pop(key, None) or _SharedPath()
        self._paths[key] = path
        if len(self._paths) > _PATHS:
            self._settle(self._paths.pop(next(iter(self._paths))))
        return path

    def _learns(self, path: _SharedPath, query: int, request: Request) -> bool:
        voters, _ = path.askers(query)
        url = request.origin, request.target
        if voters < _LEARNED_FROM:
            return False
        if 2 * voters > len(path.voters) and path.may_be_file(request.target, query):
            if query not in path.learned:
                # Another version of the file takes the place of the last one.
                self._settle(path, replaced=True)
                path.learned[query] = url
            self.left_out.discard(hash(url))
            return True
        if query not in path.learned:
            self._leave_out(url)
        return False

    def _settle(self, path: _SharedPath, *, replaced: bool = False) -> None:
        """Take back the URLs of a path that the log does not vouch for."""
        for query, url in list(path.learned.items()):
            voters, agents = path.askers(query)
            if voters >= _VOTERS and agents >= _AGENTS and 2 * voters > len(path.voters):
                continue
            del path.learned[query]
            self._withdraw(url)
            if not replaced:
                self._leave_out(url)

    def _leave_out(self, url: Url) -> None:
        if len(self.left_out) < _COUNTED:
            self.left_out.add(hash(url))


class _SharedPath:
    """The last voters who asked for one path.

    Attributes:
        voters: Each voter's user agent and last queries, as hashes; 0 without a query.
        unchanged: Queries that were answered 304.
        learned: Queries that are learned, with their URLs.
    """

    __slots__ = ("learned", "unchanged", "voters")

    def __init__(self) -> None:
        self.voters: dict[int, tuple[int, tuple[int, ...]]] = {}
        self.unchanged: dict[int, None] = {}
        self.learned: dict[int, Url] = {}

    def take(self, request: Request, query: int) -> None:
        """Take one voter's request."""
        voter = voter_of(request.address)
        _, before = self.voters.pop(voter, (0, ()))
        kept = tuple(each for each in before if each != query)
        self.voters[voter] = hash(request.user_agent), (*kept, query)[-_QUERIES:]
        if len(self.voters) > _WINDOW:
            del self.voters[next(iter(self.voters))]

    def askers(self, query: int) -> tuple[int, int]:
        """Return the number of voters who asked with this query, and that of their user agents."""
        agents = [agent for agent, queries in self.voters.values() if query in queries]
        return len(agents), len(set(agents))

    def may_be_file(self, target: str, query: int) -> bool:
        """Return false for an image that never was answered 304."""
        return kind_of_path(target) is not Kind.IMAGE or query in self.unchanged
