"""Who a request comes from: its viewer, its client, its voter, and clients like it.

A viewer is a connection, or an address with a user agent where the connection says nothing. A
client is always the latter. A voter is an address. Pure; read by `views` and `learner`.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from functools import lru_cache
from hashlib import blake2b
from typing import Literal

from headstart.learn.exchange import Request

# What follows a major version.
_MINOR = re.compile(r"(?<=[0-9])[._][0-9._]+")
_AGENT = 200


def viewer_key(request: Request) -> Hashable:
    """Return the viewer that a request comes from."""
    if request.connection is not None:
        return request.connection
    return client_key(request)


def client_key(request: Request) -> tuple[str, str]:
    """Return the client that a request comes from. A short part of the User-Agent suffices."""
    return (request.address, request.user_agent[:_AGENT])


def voter_of(address: str) -> int:
    """Return the number that an address votes under; a /64 of IPv6 is one customer's.

    Equal in every process and never 0.
    """
    if ":" in address:
        address = _network(address)
    digest = blake2b(address.encode(errors="replace"), digest_size=7).digest()
    return int.from_bytes(digest, "big") | 1 << 56


def _network(address: str) -> str:
    """Return the first four groups of an IPv6 address."""
    head, gap, _ = address.lower().partition("::")
    groups = [group.lstrip("0") or "0" for group in head.split(":") if group]
    if gap:
        groups += ["0"] * 4
    return ":".join(groups[:4])


def segment_of(request: Request) -> int:
    """Return the segment of a page's views: a phone's or not, with a query in the URL or without.

    Pages often name other assets in each of them. There are `SEGMENTS`, from 0.
    """
    return request.phone | ("?" in request.target) * WITH_QUERY


SEGMENTS = 4
WITH_QUERY = 2
_Arrival = Literal["nowhere", "elsewhere", "here"]


def _arrival(request: Request) -> _Arrival:
    if not request.referer:
        return "nowhere"
    here = request.referer.startswith(request.origin + "/") or request.referer == request.origin
    return "here" if here else "elsewhere"


def groups_of(request: Request) -> tuple[tuple[str, ...], ...]:
    """Return the groups of clients that a request's client is in, the widest first."""
    wide = (request.origin, _arrival(request), request.destination)
    agent = request.user_agent[:_AGENT]
    return wide, (*wide, "major", _major(agent)), (*wide, agent)


@lru_cache(maxsize=512)
def _major(agent: str) -> str:
    """Return a user agent without its minor versions: browser, system and major version."""
    return _MINOR.sub("", agent)
