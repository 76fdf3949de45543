"""The sockets that clients connect to."""

from __future__ import annotations

import errno
import socket
import sys
from contextlib import ExitStack

import pytest

from headstart.client.origin import Origin
from headstart.h2c.streams import Failed
from headstart.h2c.wiretap.listen import listen
from tests.ports import free_port


def addresses(host: str) -> list[tuple[str, int]]:
    with ExitStack() as stack:
        listeners = [stack.enter_context(one) for one in listen(Origin("http", host, 0))]
        return [one.getsockname()[:2] for one in listeners]


def test_localhost_is_both_loopback_addresses_on_one_port() -> None:
    found = addresses("localhost")

    assert {address for address, _ in found} == {"127.0.0.1", "::1"}
    assert len(found) == 2
    assert len({port for _, port in found}) == 1


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_an_address_is_that_one_only(address: str) -> None:
    assert [found for found, _ in addresses(address)] == [address]


def test_a_port_that_is_taken_is_said_and_nothing_is_listened_on() -> None:
    port = free_port()
    with socket.create_server(("::1", port), family=socket.AF_INET6):
        with pytest.raises(Failed, match=rf"cannot listen on http://localhost:{port}: Address"):
            listen(Origin("http", "localhost", port))

        socket.create_server(("127.0.0.1", port)).close()


def test_another_port_is_chosen_where_the_first_one_is_taken_on_one_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[int] = []

    def refuse_once(family: int, address: tuple[object, ...]) -> socket.socket:
        asked.append(family)
        if len(asked) == 2:
            raise OSError(errno.EADDRINUSE, "Address already in use")
        made: socket.socket = listener(family, address)
        return made

    module = sys.modules["headstart.h2c.wiretap.listen"]
    listener = module._listener
    monkeypatch.setattr(module, "_listener", refuse_once)

    assert len(addresses("localhost")) == 2
    assert len(asked) == 4


def test_a_host_that_is_not_here_is_said() -> None:
    with pytest.raises(Failed, match=r"cannot listen on http://no-such-host\.invalid:7000: "):
        listen(Origin("http", "no-such-host.invalid", 7000))
