"""Learn from traffic which assets to send ahead with a page: requests in, associations out.

Pure: no clock, no sockets, no event loop; times are seconds on any clock that the caller keeps to.

    learner = Learner(LearnOptions())
    view = learner.begin(request, now)            # a View if it may be a page, else None
    for candidate in view.candidates: ...         # assets to send; none if view.withheld says why
    learner.delivered(view, candidate.target, How.HINTED)            # an asset that was sent
    learner.complete(request, answer, view, now)  # always, with a view or None: it learns here
    learner.feedback(view, target)                # a push was reset; or status=404: answered so
    learner.read(reading)                         # a page's own HTML, as `pages` read it
    learner.gone(connection)                      # a connection ended, its views with it
    for record in learner.sync(now): ...          # about once a second; for other workers' absorb()

Do not tell the learner of pushed requests that re-enter the server, nor of their responses.

    exchange   Request, Answer, Exchange: one exchange, as the learner sees it
    options    LearnOptions
    safety     the rules of learning; a refusal has a reason
    urls       a page's path and pattern, a file name's stem
    counts     shares that decay, votes that cannot be repeated, assets and associations
    nodes      pages, patterns and origins, and the bounds on them
    named      the assets that a page's own HTML names
    naming     named assets beside the votes
    rules      the operator's orders: pinned and barred assets
    tallies    a node's counts as a record, and back
    counting   votes counted at pages, patterns and origins
    judging    how likely an asset is, and whether it is sent
    plans      each page's candidates, kept while they hold
    model      the map: page → pattern → origin; candidates out
    node_caches  its pages, patterns and origins
    control    the views that get nothing
    listing    the map as an operator sees it
    clients    the origin of a request: viewer, client, voter, and similar clients
    views      live views; the assets that a client has
    attribution  which view an asset belongs to
    icons      which images are a site's icons
    sightings  an asset as one exchange shows it
    rendering  which clients fetch assets
    lacking    which clients lack the assets of a page
    votes      a view's requests as a vote
    records    votes and pages as plain records, for a store
    findings   reasons why less of a site is learned than could be
    histograms  durations as counts in buckets
    gains      delivered against control views
    explaining the gain in words
    documents  which requests are for pages
    choice     the candidates of a view, or why it gets nothing
    asset_requests  the requests for assets
    ended_views  views that ended, counted
    outbox     the records that wait for other workers
    learner    the whole, for the middleware
    logs       access logs, HAR files and traces
"""

from __future__ import annotations

from headstart.learn.clients import voter_of
from headstart.learn.counts import SeenAsset
from headstart.learn.exchange import Answer, Exchange, Request
from headstart.learn.explaining import explain_gain, explain_stop
from headstart.learn.findings import Cause, Finding, explain
from headstart.learn.gains import Gain, Metric, Saving, Stop
from headstart.learn.icons import is_icon
from headstart.learn.learner import Learner
from headstart.learn.listing import Entry, Row
from headstart.learn.named import Named, OtherOrigin
from headstart.learn.nodes import Candidate, Judgement, Level
from headstart.learn.options import LearnOptions
from headstart.learn.records import (
    Forgotten,
    PageRecord,
    Reading,
    Record,
    Removal,
    Report,
    Rule,
    Sighting,
    SiteIcon,
    Tally,
    Verdict,
    Vote,
    from_plain,
    to_plain,
)
from headstart.learn.safety import Kind, Trust, Unlearnable, refusal, trust_in
from headstart.learn.views import Arrival, How, View

__all__ = [
    "Answer",
    "Arrival",
    "Candidate",
    "Cause",
    "Entry",
    "Exchange",
    "Finding",
    "Forgotten",
    "Gain",
    "How",
    "Judgement",
    "Kind",
    "LearnOptions",
    "Learner",
    "Level",
    "Metric",
    "Named",
    "OtherOrigin",
    "PageRecord",
    "Reading",
    "Record",
    "Removal",
    "Report",
    "Request",
    "Row",
    "Rule",
    "Saving",
    "SeenAsset",
    "Sighting",
    "SiteIcon",
    "Stop",
    "Tally",
    "Trust",
    "Unlearnable",
    "Verdict",
    "View",
    "Vote",
    "explain",
    "explain_gain",
    "explain_stop",
    "from_plain",
    "is_icon",
    "refusal",
    "to_plain",
    "trust_in",
    "voter_of",
]
