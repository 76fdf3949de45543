"""A fleet: several servers, as on several machines, and one real Redis.

What one learned the others send, whatever becomes of Redis meanwhile; and whatever becomes of it,
requests are answered. The first tests run `headstart serve` in processes; those in which Redis is
in trouble run servers in threads, whose exchanges and retries come faster.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from headstart.learn import Learner, LearnOptions
from headstart.learn.nodes import Judgement
from headstart.learn.records import Forgotten
from headstart.middleware import HeadstartMiddleware, keeper
from headstart.store import RedisAddress, StoreError, offline, parse_place, redis, redis_client
from tests.redis_server import RedisServer, redis_server
from tests.relay import Relay, relay
from tests.server.live import LiveServer, ServerProcess, running, serving, until
from tests.server.raw import RawClient
from tests.store.workers import Operator, Worker, address_of, vote
from tests.visited_app import app
from tests.visits import load

APP = "tests.visited_app:app"
HTML = (b"accept", b"text/html")
# Nobody is taken for a robot, whatever the tests' visitors leave out.
ALL_RENDER = ("--learn-min-chance", "0.0001", "--learn-control-share", "0")


@contextmanager
def fleet(store: str, count: int = 3) -> Iterator[list[ServerProcess]]:
    """Run several servers that share a store."""
    with ExitStack() as stack:
        started = (serving(APP, "--store", store, *ALL_RENDER) for _ in range(count))
        yield [stack.enter_context(server) for server in started]


def teach(server: ServerProcess | LiveServer | Relay, page: str) -> None:
    """Load a page with its asset."""
    with RawClient(server.port) as client:
        load(client, page, [page + "style.css"], [HTML])


def pushed(server: ServerProcess | LiveServer | Relay, page: str) -> list[str]:
    """Load a page alone, as a client never seen before."""
    agent = f"new {time.monotonic_ns()}".encode()
    with RawClient(server.port) as client:
        return load(client, page, headers=[HTML, (b"user-agent", agent)]).promised


def wait_for_push(server: ServerProcess, page: str) -> list[str]:
    """Return the assets that are pushed with a page, as soon as there are any."""
    found: list[str] = []

    def is_pushed() -> list[str]:
        # Each view that lacks the asset and does not ask for it speaks against it.
        found[:] = pushed(server, page)
        return found

    until(is_pushed, page, seldom=True)
    return found


def wait_for_oblivion(server: ServerProcess, page: str) -> None:
    """Wait until nothing is pushed with a page."""
    until(lambda: not pushed(server, page), "forgetting")


def test_what_one_instance_learned_the_others_send_within_two_seconds() -> None:
    pages = ("/one/", "/two/", "/three/")
    with redis_server() as server, fleet(server.url) as instances:
        for instance, page in zip(instances, pages, strict=True):
            teach(instance, page)
        for instance in instances:
            for page in pages:
                assert wait_for_push(instance, page) == [page + "style.css"]

        offline.forget("/one/", parse_place(server.url), warn=Operator())
        for instance in instances:
            wait_for_oblivion(instance, "/one/")

    # One instance's turn to say it, another's to hear it; a busy machine's own time says nothing.
    assert 2 * keeper._SYNC_SECONDS < 2.0


@pytest.mark.usefixtures("fast")
def test_one_visitor_teaches_all_instances_behind_a_round_robin() -> None:
    with redis_server() as server, ExitStack() as stack:
        address = address_of(server)
        instances = [stack.enter_context(instance_of(address)) for _ in range(3)]
        balancer = stack.enter_context(relay(*(instance.live.port for instance in instances)))
        teach(balancer, "/one/")
        until(lambda: all(instance.knows("/one/") for instance in instances), "the fleet")

        assert [pushed(balancer, "/one/") for _ in instances] == [["/one/style.css"]] * 3


def test_kill_9_of_an_instance_loses_at_most_the_last_second() -> None:
    with redis_server() as server, fleet(server.url, count=1) as (first,):
        teach(first, "/one/")
        until(lambda: server.client.xlen("{headstart}:journal"), "the entry")
        first.process.kill()
        first.wait()
        with fleet(server.url, count=1) as (second,):
            assert pushed(second, "/one/") == ["/one/style.css"]

    assert keeper._SYNC_SECONDS < 1.0


# Redis in trouble


@dataclass
class Instance:
    """A server in a thread, and its log."""

    live: LiveServer
    operator: Operator
    learner: Learner

    def knows(self, page: str) -> bool:
        """Return whether it would send the page's asset."""
        found = self.learner.candidates("http://localhost", page)
        return page + "style.css" in [candidate.target for candidate in found]


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fleet that exchanges, gives up and tries again sooner."""
    monkeypatch.setattr(keeper, "_SYNC_SECONDS", 0.02)
    monkeypatch.setattr(redis, "_RETRY", 0.05)
    monkeypatch.setattr(redis_client, "_TIMEOUT", 0.2)


@contextmanager
def instance_of(address: RedisAddress) -> Iterator[Instance]:
    """Run one."""
    operator = Operator()
    middleware = HeadstartMiddleware(
        app,
        learn=LearnOptions(control_share=0, min_chance=0.0001),
        store=redis.RedisStore(address, operator),
    )
    with running(middleware) as live:
        yield Instance(live, operator, middleware.learner)
        live.stop()


@contextmanager
def stopped(server: RedisServer) -> Iterator[None]:
    """It answers nothing."""
    server.stop()
    yield
    server.go_on()


@contextmanager
def killed(server: RedisServer) -> Iterator[None]:
    """It is not there, and comes back empty."""
    server.kill()
    yield
    server.start()


@contextmanager
def full(server: RedisServer) -> Iterator[None]:
    """It takes nothing."""
    server.client.config_set("maxmemory-policy", "noeviction")
    server.client.config_set("maxmemory", 1)
    yield
    server.client.config_set("maxmemory", 0)


@contextmanager
def demoted(server: RedisServer) -> Iterator[None]:
    """It is a replica of a server that is not there."""
    server.client.replicaof("127.0.0.1", "1")
    yield
    server.client.replicaof("NO", "ONE")


@contextmanager
def paused(server: RedisServer) -> Iterator[None]:
    """It holds all writers back."""
    server.client.client_pause(600_000, all=False)
    yield
    server.client.client_unpause()


@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize("trouble", [stopped, killed, full, demoted, paused])
def test_requests_are_answered_and_learning_goes_on_while_redis_is_in_trouble(
    trouble: Callable[[RedisServer], AbstractContextManager[None]],
) -> None:
    with redis_server() as server:
        address = address_of(server)
        with instance_of(address) as one, instance_of(address) as two:
            _learn_through(address, one, two, lambda: trouble(server))


@pytest.mark.usefixtures("fast")
def test_requests_are_answered_and_learning_goes_on_while_the_network_loses_all_packets() -> None:
    with redis_server(tcp=True) as server, relay(server.port) as network:
        direct = address_of(server)
        behind = replace(direct, port=network.port)

        @contextmanager
        def cut() -> Iterator[None]:
            network.stop()
            yield
            network.go_on()

        with instance_of(behind) as one, instance_of(behind) as two:
            _learn_through(direct, one, two, cut)


def _learn_through(
    address: RedisAddress,
    one: Instance,
    two: Instance,
    trouble: Callable[[], AbstractContextManager[None]],
) -> None:
    teach(one.live, "/before/")
    until(lambda: two.knows("/before/"), "learning from each other")
    with trouble():
        teach(one.live, "/during/")
        until(lambda: one.operator.lines, "notice of the trouble")
        assert pushed(two.live, "/before/") == ["/before/style.css"]
        until(lambda: one.knows("/during/"), "learning from memory")
        assert pushed(one.live, "/during/") == ["/during/style.css"]
        assert not two.knows("/during/")
    until(lambda: two.knows("/during/"), "learning from each other again")
    until(lambda: {"/before/", "/during/"} <= stored(address), "all of it in Redis")

    # On a busy machine an instance may give up once more. Each notice is followed by its end.
    until(lambda: not (len(one.operator.lines) % 2 or len(two.operator.lines) % 2), "both ends")
    assert one.operator.lines
    for lines in (one.operator.lines, two.operator.lines):
        assert all("going on from memory" in begun for begun in lines[::2])
        assert all("is in use again" in ended for ended in lines[1::2])


def stored(address: RedisAddress) -> set[str]:
    """Return the paths of pages that an instance would know that starts now."""
    learner = offline.known(address, warn=Operator())
    return {"/" + row.page.split("/", 3)[3] for row in learner.rows()}


# The documentation


def test_access_list_of_the_documentation_lets_a_fleet_work_and_read_nothing_else() -> None:
    text = (Path(__file__).parents[1] / "docs" / "fleet.md").read_text(encoding="utf-8")
    (line,) = (line for line in text.splitlines() if line.startswith("ACL SETUSER"))
    with redis_server() as server:
        server.says(*line.replace("PASSWORD", "secret").split())
        address = parse_place(server.url.replace("unix://", "unix://headstart:secret@"))
        one, two = Worker(address), Worker(address)
        one.says(vote("/a"), Forgotten("/b"))
        one.says()
        two.says()
        offline.pin("/a", "/site.css", address, warn=Operator())
        said = offline.known(address, warn=Operator())

        assert two.knows("/a")
        assert [row for row in said.rows() if row.why is Judgement.PINNED]
        assert one.operator.lines == two.operator.lines == []
        server.client.set("other", "1")
        assert isinstance(address, RedisAddress)
        with (
            pytest.raises(StoreError, match="permissions"),
            redis_client.opened(address) as client,
        ):
            client.get("other")
        for worker in (one, two):
            worker.store.close()
