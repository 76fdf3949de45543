"""What a page of metrics can read."""

from __future__ import annotations

import json

from headstart.reasons import Closing, Refusal
from headstart.server.counters import Counters, counters_of
from tests.server.apps import Receive, Scope, Send, answer, lifespan
from tests.server.live import running
from tests.server.raw import RawClient
from tests.server.test_http1 import LAST, MALFORMED, told


def test_snapshot_is_plain_json() -> None:
    counters = Counters()
    counters.connections[Closing.IDLE] += 2
    counters.pushes[Refusal.TOO_MANY] += 1

    assert json.loads(json.dumps(counters.snapshot())) == {
        "accepted": 0,
        "open": 0,
        "connections": {"idle": 2},
        "requests": {},
        "pushes": {"too-many": 1},
    }


def test_another_servers_scope_has_none() -> None:
    assert counters_of({"type": "http"}) is None
    assert counters_of({"type": "http", "extensions": {"http.response.push": {}}}) is None


def test_application_reads_them_over_each_version_of_http() -> None:
    async def metrics(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await lifespan(receive, send)
        if scope["type"] == "http" and "http.response.push" in scope["extensions"]:
            await send({"type": "http.response.push", "path": "no path", "headers": []})
        counters = counters_of(scope)
        assert counters is not None
        return await answer(send, json.dumps(counters.snapshot()).encode())

    with running(metrics) as server:
        told(server, MALFORMED["no Host"])
        over_1 = json.loads(told(server, LAST).partition(b"\r\n\r\n")[2])
        with RawClient(server.port) as client:
            over_2 = json.loads(client.get().body)

    assert over_1["connections"]["malformed"] == over_2["connections"]["malformed"] == 1
    assert (over_1["accepted"], over_2["accepted"]) == (2, 3)
    assert over_2["pushes"] == {"bad-path": 1}
