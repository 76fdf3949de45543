"""Requests in, associations out: what to send ahead with a page, learned from traffic.

Pure: no clock, no sockets, no event loop; times are seconds on any clock that the caller keeps to.

    learner = Learner(LearnOptions())
    view = learner.begin(request, now)            # a View if it may be a page, else None
    for candidate in view.candidates: ...         # what to send; none where view.silence says why
    learner.delivered(view, candidate.target, How.HINTED)            # what really was sent
    learner.complete(request, answer, view, now)  # always, with a view or None: it learns here
    learner.feedback(view, target)                # a push was reset; or status=404: answered so
    learner.gone(connection)                      # a connection ended, its views with it
    for record in learner.sync(now): ...          # about once a second; for other workers' absorb()

A pushed request that re-enters the server is none of the learner's business: tell it of neither.

    exchange   Request, Answer, Exchange: what is told of one exchange
    options    LearnOptions
    safety     what may be learned at all; a refusal has a reason
    urls       a page's path and pattern, a file name's stem
    counts     shares that decay, votes that cannot be repeated, assets and associations
    nodes      pages, patterns and origins, and the bounds on them
    rules      the operator's word: what is pinned, what is never sent
    tallies    what is known of a node as a record, and back
    model      the map: page → pattern → origin; candidates out
    views      which request belongs to whose view; what a client has; which clients fetch
    records    votes and pages as plain records, for a store
    gains      delivered against control views
    learner    the whole, for the middleware
    logs       access logs, HAR files and traces
    rivals     Jetty's filter, and sending everything
    replay     what it would have sent for a log, and how much of it was right
"""

from __future__ import annotations

from headstart.learn.counts import Sighting
from headstart.learn.exchange import Answer, Exchange, Request
from headstart.learn.gains import Gain
from headstart.learn.learner import Learner
from headstart.learn.model import Row
from headstart.learn.nodes import Candidate, Standing
from headstart.learn.options import LearnOptions
from headstart.learn.records import (
    Forgotten,
    PageRecord,
    Record,
    Removal,
    Rule,
    Tally,
    Verdict,
    Vote,
    from_plain,
    to_plain,
)
from headstart.learn.safety import Kind, Unlearnable
from headstart.learn.views import How, Silence, View

__all__ = [
    "Answer",
    "Candidate",
    "Exchange",
    "Forgotten",
    "Gain",
    "How",
    "Kind",
    "LearnOptions",
    "Learner",
    "PageRecord",
    "Record",
    "Removal",
    "Request",
    "Row",
    "Rule",
    "Sighting",
    "Silence",
    "Standing",
    "Tally",
    "Unlearnable",
    "Verdict",
    "View",
    "Vote",
    "from_plain",
    "to_plain",
]
