"""A certificate that is renewed while the server runs."""

from __future__ import annotations

import logging
import os
import signal
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme

from headstart.server.renewal import Renewal
from tests.server.apps import hello
from tests.server.live import PATIENCE, running, serving, until

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Files:
    """The two files, written by a CA that the client trusts."""

    def __init__(self, folder: Path) -> None:
        self.authority = trustme.CA()
        self.certfile, self.keyfile = folder / "cert.pem", folder / "key.pem"

    def renew(self) -> None:
        """Write a new pair, as certbot does: the key, then the certificate."""
        made = self.authority.issue_cert("localhost")
        for path, blob in (
            (self.keyfile, made.private_key_pem),
            (self.certfile, made.cert_chain_pems[0]),
        ):
            new = path.with_suffix(".new")
            blob.write_to_path(str(new))
            new.replace(path)

    def connected(self, port: int) -> ssl.SSLSocket:
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        plain = socket.create_connection(("127.0.0.1", port), PATIENCE)
        return context.wrap_socket(plain, server_hostname="localhost")

    def serial(self, port: int) -> object:
        """The number of the certificate that a new connection gets."""
        with self.connected(port) as client:
            found = client.getpeercert()
            assert found is not None
            return found["serialNumber"]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    files = Files(tmp_path)
    files.renew()
    return files


def answered(client: ssl.SSLSocket) -> bool:
    client.sendall(GET)
    return client.recv(100).startswith(b"HTTP/1.1 200")


def test_new_connections_get_the_new_certificate_and_old_ones_go_on(files: Files) -> None:
    given: dict[str, Any] = {"ssl_certfile": str(files.certfile), "ssl_keyfile": str(files.keyfile)}
    with running(hello, **given) as server, files.connected(server.port) as old:
        first = files.serial(server.port)
        files.renew()
        until(lambda: files.serial(server.port) != first, "the new certificate")

        assert answered(old)


def test_files_that_do_not_belong_together_change_nothing(
    files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certfile, files.keyfile)
    renewal = Renewal(context, files.certfile, files.keyfile, None)
    key = files.keyfile.read_bytes()

    with caplog.at_level(logging.INFO, "headstart.tls"):
        renewal.look()
        assert caplog.text == ""
        files.renew()
        good = files.keyfile.read_bytes()
        files.keyfile.write_bytes(key)
        renewal.look()
        assert "is not loaded" in caplog.text
        files.keyfile.unlink()
        renewal.look()
        files.keyfile.write_bytes(good)
        renewal.look()

    assert "is loaded again" in caplog.text


def test_sighup_loads_the_certificate_again_and_ends_nothing(files: Files) -> None:
    arguments = ["--ssl-certfile", str(files.certfile), "--ssl-keyfile", str(files.keyfile)]
    with (
        serving("tests.server.apps:hello", *arguments) as server,
        files.connected(server.port) as old,
    ):
        os.kill(server.process.pid, signal.SIGHUP)
        until(lambda: "is loaded again" in server.log, "the line of the log")

        assert answered(old)
