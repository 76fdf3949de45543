"""Replay access logs: predict each page load, and score the predictions.

    loads      page loads in a log, with the assets that each client really requested
    scores     the figures of one way of predicting
    ideal      the learner alone: nothing is delivered, and every client is told apart
    queries    which URLs with a query are shared files, by the log's evidence
    rivals     Jetty's filter, and sending everything
    oracle     the bound: the statistics of each page are known before its first load
    hinting_oracle  the same by the server's rules for hints
    browsers   clients with caches and connections that end
    assumptions  facts about the site that the log does not hold
    live       the log's clients before the real middleware, by 103 or by push
    live_process  the same in a second process, if the log is long
    replay     all of them over one log

Each page load is predicted before anything is learned from it, in the log's order, from nothing.
`headstart replay` calls `replay`, and so do the tests that hold the figures. It is not imported
here: it loads the server's middleware, which the help of the command does not need.
"""

from __future__ import annotations

from headstart.replay.assumptions import Assumptions, Mode
from headstart.replay.scores import Score

__all__ = ["Assumptions", "Mode", "Score"]
