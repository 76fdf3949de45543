"""How many connections are taken in, in all and of one address."""

from __future__ import annotations

import socket
from contextlib import ExitStack, suppress

import pytest

from headstart.config import ServerOptions
from headstart.reasons import Closing
from headstart.server import admission as admission_module
from headstart.server.admission import Admission, ConnectionSlot
from headstart.server.counters import Counters
from headstart.server.worker import Worker
from tests.server.apps import hello
from tests.server.hostile import PREFACE, SETTINGS, frame
from tests.server.live import PATIENCE, LiveServer, running, until
from tests.server.raw import RawClient, tls_socket


def admission(most: int = 100, per_address: int = 2, *proxies: str) -> Admission:
    options = ServerOptions(max_connections=most, max_connections_per_address=per_address)
    return Admission(options, Counters(), proxies.__contains__, lambda: 0.0)


class Clock:
    """Seconds, as a test sets them."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def rated(clock: Clock, rate: int = 2) -> Admission:
    options = ServerOptions(max_unused_connections=rate)
    return Admission(options, Counters(), ["10.9.9.9"].__contains__, clock)


def connections(asked: Admission, count: int, host: str = "10.0.0.1", used: bool = False) -> int:
    """How many of them, one after the other, are let in."""
    let_in = 0
    for _ in range(count):
        slot = asked.ask((host, 1))
        if isinstance(slot, ConnectionSlot):
            slot.free(asked=used)
            let_in += 1
        else:
            assert slot is Closing.ADDRESS_RATE
    return let_in


def outcomes(asked: Admission, *hosts: str) -> list[Closing | None]:
    """For each connection why it was refused, or None."""
    slots = [asked.ask((host, 1)) for host in hosts]
    return [slot if isinstance(slot, Closing) else None for slot in slots]


def test_worker_takes_no_more_than_its_number() -> None:
    found = outcomes(admission(most=2), "10.0.0.1", "10.0.0.2", "10.0.0.3")

    assert found == [None, None, Closing.TOO_MANY_CONNECTIONS]


def test_address_has_its_own_number() -> None:
    found = outcomes(admission(), "10.0.0.1", "10.0.0.1", "10.0.0.1", "10.0.0.2")

    assert found == [None, None, Closing.ADDRESS_CONNECTIONS, None]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("10.0.0.1", "::ffff:10.0.0.1", True),
        ("fe80::1%lo", "fe80::2%lo", True),
    ],
)
def test_network_of_ipv6_counts_as_one_address(one: str, other: str, same: bool) -> None:
    found = outcomes(admission(per_address=1), one, other)

    assert found == [None, Closing.ADDRESS_CONNECTIONS if same else None]


def test_seat_that_was_given_back_can_be_taken_again() -> None:
    asked = admission(per_address=1)
    slot = asked.ask(("10.0.0.1", 1))
    assert isinstance(slot, ConnectionSlot)
    slot.free()
    slot.free()

    assert outcomes(asked, "10.0.0.1", "10.0.0.1") == [None, Closing.ADDRESS_CONNECTIONS]


def test_proxy_and_unix_socket_count_for_the_worker_only() -> None:
    asked = admission(4, 1, "10.0.0.1")
    unix = [asked.ask(peer) for peer in ("", None)]

    assert all(isinstance(slot, ConnectionSlot) for slot in unix)
    assert outcomes(asked, *["10.0.0.1"] * 3) == [None, None, Closing.TOO_MANY_CONNECTIONS]


def test_no_number_for_an_address_is_any_number() -> None:
    assert outcomes(admission(per_address=0), *["10.0.0.1"] * 10) == [None] * 10


def test_nobody_gets_in_while_it_is_closed() -> None:
    asked = admission()
    asked.closed = True

    assert outcomes(asked, "10.0.0.1") == [Closing.MEMORY]


def test_address_that_asks_for_nothing_has_a_rate() -> None:
    clock = Clock()
    asked = rated(clock)

    assert connections(asked, 100) == 20
    clock.now = 1.0
    assert connections(asked, 100) == 2
    clock.now = 1000.0
    assert connections(asked, 100) == 20
    assert connections(asked, 100, "10.0.0.2") == 20


def test_address_that_asks_on_each_connection_has_none() -> None:
    asked = rated(Clock())

    assert connections(asked, 100, used=True) == 100


def test_proxy_has_no_rate_and_0_is_none() -> None:
    assert connections(rated(Clock()), 100, "10.9.9.9") == 100
    assert connections(rated(Clock(), 0), 100) == 100


def test_addresses_that_are_remembered_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission_module, "_REMEMBERED", 2)
    asked = rated(Clock())
    for number in range(3):
        assert connections(asked, 30, f"10.0.1.{number}") == 20

    assert [connections(asked, 1, f"10.0.1.{number}") for number in (2, 1, 0)] == [0, 0, 1]


# Over sockets: every address of 127.0.0.0/8 is this machine's.


def counted(server: LiveServer) -> Counters:
    return Worker.of(server.server.server_state, server.server.config, server.server.loop).counters


def connect(server: LiveServer, address: str) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), PATIENCE, (address, 0))


def is_refused(client: socket.socket) -> bool:
    """Whether the server closed it, rather than answering."""
    try:
        client.sendall(b"GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n")
        return client.recv(100) == b""
    except (BrokenPipeError, ConnectionResetError):
        return True


@pytest.mark.parametrize("tls", [False, True])
def test_connections_of_one_address_over_the_limit_are_closed_and_others_are_served(
    tls: bool,
) -> None:
    options = ServerOptions(max_connections_per_address=100)
    with running(hello, options, tls=tls) as server, ExitStack() as clients:
        silent = [clients.enter_context(connect(server, "127.0.0.2")) for _ in range(100)]
        until(lambda: counted(server).open == 100, "the connections")

        assert is_refused(clients.enter_context(connect(server, "127.0.0.2")))
        assert counted(server).connections[Closing.ADDRESS_CONNECTIONS] == 1
        with RawClient(server.port, tls=tls, address="127.0.0.3") as other:
            assert other.get(b"/x").body == b"/x over 2"
        silent[0].close()
        until(lambda: counted(server).open <= 99, "the slot")
        with RawClient(server.port, tls=tls, address="127.0.0.2") as client:
            assert client.get(b"/x").status == 200


def test_connections_over_the_workers_limit_are_closed() -> None:
    with running(hello, ServerOptions(max_connections=5)) as server, ExitStack() as clients:
        held = [clients.enter_context(RawClient(server.port)) for _ in range(5)]

        assert all(client.get(b"/x").status == 200 for client in held)
        assert is_refused(clients.enter_context(connect(server, "127.0.0.1")))
        assert held[0].get(b"/x").status == 200
        assert counted(server).connections[Closing.TOO_MANY_CONNECTIONS] == 1


def test_flood_of_connections_leaves_no_seat_taken() -> None:
    options = ServerOptions(max_connections_per_address=10)
    with running(hello, options, forwarded_allow_ips="10.9.9.9") as server:
        for _ in range(300):
            connect(server, "127.0.0.2").close()
        counts = counted(server)
        refused = Closing.ADDRESS_CONNECTIONS
        until(lambda: counts.accepted + counts.connections[refused] == 300, "all of them")
        until(lambda: counts.open == 0, "the end of all")

        with connect(server, "127.0.0.2") as client:
            assert not is_refused(client)


def test_trusted_proxy_is_not_limited_by_its_address() -> None:
    options = ServerOptions(max_connections_per_address=2)
    with running(hello, options) as server, ExitStack() as clients:
        held = [clients.enter_context(RawClient(server.port)) for _ in range(5)]

        assert [client.get(b"/x").status for client in held] == [200] * 5
    with running(hello, options, proxy_headers=False) as server, ExitStack() as clients:
        for _ in range(2):
            clients.enter_context(RawClient(server.port)).get(b"/x")

        assert is_refused(clients.enter_context(connect(server, "127.0.0.1")))


SAID = {
    "nothing": b"",
    "the preface": PREFACE + frame(SETTINGS),
    "half a method": b"GE",
}


def is_kept_out(server: LiveServer, said: bytes) -> bool:
    """Whether an address was, after one more connection that comes to nothing."""
    with connect(server, "127.0.0.2") as client, suppress(OSError):  # it may be closed at once
        client.sendall(said)
        client.shutdown(socket.SHUT_WR)
        while client.recv(4096):
            pass
    return counted(server).connections[Closing.ADDRESS_RATE] > 0


@pytest.mark.parametrize("said", SAID)
@pytest.mark.parametrize("tls", [False, True])
def test_address_whose_connections_come_to_nothing_is_kept_out_for_a_while(
    said: str, tls: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission_module, "_BURST", 1)
    with running(hello, ServerOptions(max_unused_connections=1), tls=tls) as server:
        until(lambda: is_kept_out(server, SAID[said]), "two connections in a second")

        with RawClient(server.port, tls=tls, address="127.0.0.3") as other:
            assert other.get(b"/x").status == 200


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("tls", [False, True])
def test_client_that_asks_on_each_connection_is_never_kept_out(version: int, tls: bool) -> None:
    options = ServerOptions(max_unused_connections=1)
    with running(hello, options, tls=tls) as server:
        for _ in range(15):
            if version == 2:
                with RawClient(server.port, tls=tls, address="127.0.0.2") as client:
                    assert client.get(b"/x").status == 200
                continue
            plain = (
                tls_socket(server.port, address="127.0.0.2")
                if tls
                else connect(server, "127.0.0.2")
            )
            with plain:
                assert not is_refused(plain)
        until(lambda: counted(server).open == 0, "the end of all")

        assert counted(server).connections[Closing.ADDRESS_RATE] == 0
