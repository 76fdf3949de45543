"""Pushed responses that wait: what they answer, and the bounds on them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from headstart.client.pushes import Pushed, PushStore
from headstart.config import ClientLimits
from headstart.wire.events import Fields, PromiseReceived

_PROMISE = PromiseReceived(1, 2, "GET", b"https", b"a.test", b"/data", [])


def kept(store: PushStore, *, stream_id: int = 2, vary: bytes = b"", **promise: Any) -> int:
    """Promise a response and let it come whole."""
    store.promised(replace(_PROMISE, promised_stream_id=stream_id, **promise), 0.0)
    store.responded(stream_id, 200, [(b"vary", vary)] if vary else [])
    store.grew(stream_id, 5)
    store.completed(stream_id)
    return stream_id


def find(store: PushStore, headers: Fields | None = None, **other: Any) -> Pushed | None:
    right: dict[str, Any] = {
        "method": "GET",
        "scheme": b"https",
        "authority": b"a.test",
        "target": b"/data",
        "headers": headers or [],
        "now": 1.0,
    }
    return store.find(**(right | other))


def test_pushed_response_serves_once() -> None:
    store = PushStore(ClientLimits())
    kept(store)

    found = find(store)
    assert found is not None
    store.take(found.stream_id)

    assert (found.status, found.size, found.state) == (200, 5, "complete")
    assert find(store) is None
    assert (len(store), store.size, store.listing(1.0)) == (0, 0, [])


def test_looking_does_not_use_it_up() -> None:
    store = PushStore(ClientLimits())
    kept(store)

    assert find(store) is not None
    assert find(store) is not None


@pytest.mark.parametrize(
    "other",
    [
        {"method": "HEAD"},
        {"scheme": b"http"},
        {"authority": b"b.test"},
        {"authority": b"a.test:8443"},
        {"target": b"/data?x"},
        {"target": b"/Data"},
    ],
    ids=str,
)
def test_another_request_is_not_answered(other: dict[str, Any]) -> None:
    store = PushStore(ClientLimits())
    kept(store)

    assert find(store, **other) is None


def test_default_port_and_letter_case_of_the_authority_make_no_difference() -> None:
    store = PushStore(ClientLimits())
    kept(store, authority=b"A.test:443")

    assert find(store) is not None


@pytest.mark.parametrize(
    ("vary", "promised", "asked", "answers"),
    [
        (b"", [(b"accept", b"a")], [], True),
        (b"Accept", [(b"accept", b"a")], [(b"accept", b"a")], True),
        (b"Accept", [(b"accept", b"a")], [(b"accept", b"b")], False),
        (b"Accept", [(b"accept", b"a")], [], False),
        (b"Accept", [], [], True),
        (b"accept", [(b"accept", b"a, b")], [(b"accept", b"a"), (b"accept", b"b")], True),
        (b"accept, cookie", [(b"accept", b"a")], [(b"accept", b"a"), (b"cookie", b"c")], False),
        (b"*", [], [], False),
    ],
)
def test_vary_decides_with_the_promised_requests_fields(
    vary: bytes, promised: Fields, asked: Fields, answers: bool
) -> None:
    store = PushStore(ClientLimits())
    kept(store, vary=vary, headers=promised)

    assert (find(store, asked) is not None) is answers


@pytest.mark.parametrize(
    ("field", "answers"),
    [
        ((b"range", b"bytes=0-1"), False),
        ((b"if-match", b'"a"'), False),
        ((b"if-none-match", b'"a"'), False),
        ((b"if-range", b'"a"'), False),
        ((b"if-modified-since", b"Thu, 01 Jan 2026 00:00:00 GMT"), False),
        ((b"if-unmodified-since", b"Thu, 01 Jan 2026 00:00:00 GMT"), False),
        ((b"cache-control", b"no-cache"), False),
        ((b"cache-control", b"max-age=0, No-Store"), False),
        ((b"cache-control", b"no-transform"), True),
        ((b"accept", b"text/html"), True),
    ],
    ids=str,
)
def test_request_that_wants_something_else_is_not_answered(
    field: tuple[bytes, bytes], answers: bool
) -> None:
    store = PushStore(ClientLimits())
    kept(store)

    assert (find(store, [field]) is not None) is answers


def test_push_under_way_is_found_before_its_status_is_known() -> None:
    store = PushStore(ClientLimits())
    store.promised(_PROMISE, 0.0)

    promised = find(store)
    store.responded(2, 200, [(b"vary", b"*"), (b"content-type", b"text/css")])

    assert promised is not None
    assert (promised.state, promised.content_type) == ("receiving", "text/css")
    assert find(store) is None


def test_newer_promise_takes_the_place_of_an_older_one() -> None:
    store = PushStore(ClientLimits())
    kept(store)

    gone = store.promised(replace(_PROMISE, promised_stream_id=4), 0.5)

    assert gone == [2]
    found = find(store)
    assert found is not None
    assert (found.stream_id, found.state, store.size) == (4, "promised", 0)


def test_push_is_forgotten_when_it_is_too_old() -> None:
    store = PushStore(ClientLimits(max_push_age=10.0))
    kept(store)

    assert find(store, now=10.0) is not None
    assert find(store, now=10.1) is None
    assert store.listing(10.1) == []
    assert store.expire(10.1) == [2]
    assert len(store) == 0


def test_oldest_goes_when_there_are_too_many() -> None:
    store = PushStore(ClientLimits(max_pushes=2))
    kept(store, stream_id=2, target=b"/2")
    kept(store, stream_id=4, target=b"/4")

    gone = store.promised(replace(_PROMISE, promised_stream_id=6, target=b"/6"), 0.0)

    assert gone == [2]
    assert [pushed.target for pushed in store.listing(0.0)] == [b"/4", b"/6"]


def test_oldest_goes_when_there_are_too_many_bytes() -> None:
    store = PushStore(ClientLimits(max_push_bytes=12))
    kept(store, stream_id=2, target=b"/2")
    kept(store, stream_id=4, target=b"/4")
    store.promised(replace(_PROMISE, promised_stream_id=6, target=b"/6"), 0.0)

    assert store.grew(6, 2) == []
    assert store.grew(6, 1) == [2]
    assert store.size == 8


def test_push_that_alone_is_too_large_goes_itself() -> None:
    store = PushStore(ClientLimits(max_push_bytes=10))
    kept(store)
    store.promised(replace(_PROMISE, promised_stream_id=4, target=b"/4"), 0.0)

    assert store.grew(4, 11) == [2, 4]
    assert (len(store), store.size) == (0, 0)


def test_what_is_told_of_an_unknown_stream_does_nothing() -> None:
    store = PushStore(ClientLimits())

    store.responded(2, 200, [])
    store.completed(2)
    store.take(2)

    assert store.grew(2, 5) == []
    assert (len(store), store.size) == (0, 0)


@dataclass
class _Held:
    size: int
    at: float


class StoreMachine(RuleBasedStateMachine):
    """Whatever is told in whatever order, the bounds hold and nothing is counted twice."""

    limits = ClientLimits(max_pushes=3, max_push_bytes=100, max_push_age=10.0)

    def __init__(self) -> None:
        super().__init__()
        self.store = PushStore(self.limits)
        self.held: dict[int, _Held] = {}
        self.now = 0.0
        self.next_id = 2

    def _let_go(self, gone: list[int]) -> None:
        for stream_id in gone:
            del self.held[stream_id]

    @rule(path=st.sampled_from([b"/a", b"/b", b"/c", b"/d", b"/e"]))
    def promise(self, path: bytes) -> None:
        stream_id, self.next_id = self.next_id, self.next_id + 2
        self.held[stream_id] = _Held(0, self.now)
        self._let_go(
            self.store.promised(
                replace(_PROMISE, promised_stream_id=stream_id, target=path), self.now
            )
        )

    @precondition(lambda self: self.held)
    @rule(data=st.data(), amount=st.integers(0, 60))
    def grow(self, data: st.DataObject, amount: int) -> None:
        stream_id = data.draw(st.sampled_from(sorted(self.held)))
        self.held[stream_id].size += amount
        self._let_go(self.store.grew(stream_id, amount))

    @rule(path=st.sampled_from([b"/a", b"/b", b"/c"]))
    def take(self, path: bytes) -> None:
        found = find(self.store, target=path, now=self.now)
        if found is not None:
            assert self.now - found.promised_at <= self.limits.max_push_age
            self.store.take(found.stream_id)
            del self.held[found.stream_id]

    @rule(seconds=st.floats(0, 6))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self._let_go(self.store.expire(self.now))

    @invariant()
    def bounds_hold(self) -> None:
        listing = self.store.listing(self.now)
        assert {pushed.stream_id: pushed.size for pushed in listing} == {
            stream_id: held.size for stream_id, held in self.held.items()
        }
        assert self.store.size == sum(pushed.size for pushed in listing) <= 100
        assert len(self.store) == len(listing) <= 3
        assert len({pushed.key for pushed in listing}) == len(listing)


TestStoreMachine = StoreMachine.TestCase


@given(st.binary(), st.lists(st.tuples(st.binary(), st.binary())))
def test_no_vary_field_is_an_error(vary: bytes, asked: Fields) -> None:
    store = PushStore(ClientLimits())
    kept(store, vary=vary)

    find(store, asked)
