"""The end of TLS, and its facts, over memory buffers."""

from __future__ import annotations

import asyncio
import ssl

import pytest
import trustme

from headstart.tls_object import extra_info, is_closed_by_both


class Ends:
    """A client and a server after their handshake."""

    def __init__(self) -> None:
        authority = trustme.CA()
        ours, theirs = ssl.create_default_context(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.configure_trust(ours)
        authority.issue_cert("localhost").configure_cert(theirs)
        self.to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.client = ours.wrap_bio(self.to_client, to_server, server_hostname="localhost")
        self.server = theirs.wrap_bio(to_server, self.to_client, server_side=True)
        with pytest.raises(ssl.SSLWantReadError):
            self.client.do_handshake()
        with pytest.raises(ssl.SSLWantReadError):
            self.server.do_handshake()
        self.client.do_handshake()
        self.server.do_handshake()


def test_end_that_closes_first_has_a_close_notify_to_wait_for() -> None:
    ends = Ends()

    assert not is_closed_by_both(ends.client)
    assert is_closed_by_both(ends.server)
    assert is_closed_by_both(ends.client)


def test_end_that_gets_no_tls_has_nothing_to_wait_for() -> None:
    ends = Ends()
    ends.to_client.write(b"these bytes are not TLS")

    assert is_closed_by_both(ends.client)


def test_facts_are_those_of_tls_or_else_of_tcp() -> None:
    tls, raw = Ends().client, asyncio.Transport({"peername": "the peer"})

    assert extra_info(tls, raw, "ssl_object", None) is tls
    assert extra_info(tls, raw, "sslcontext", None) is tls.context
    assert extra_info(tls, raw, "peercert", None) == tls.getpeercert() != {}
    assert extra_info(tls, raw, "cipher", None) == tls.cipher()
    assert extra_info(tls, raw, "compression", 1) is None
    assert extra_info(tls, raw, "peername", None) == "the peer"
    assert extra_info(tls, raw, "socket", "none") == "none"
