"""What users of curl type, with the real command against the real server."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.live import certificates
from tests.h2c.push_server import Page, push_server
from tests.h2c.room import Room
from tests.httpx.served import Site, site
from tests.server.live import certificate, until
from tests.servers.proxy import forward_proxy


@pytest.fixture(scope="module")
def served() -> Iterator[Site]:
    with site() as made:
        yield made


def test_redirections_are_followed(room: Room, served: Site) -> None:
    ca = ["--cacert", str(certificate().ca_certfile)]

    assert room.ok("get", *ca, f"{served.url}/redirect") == ""
    result = room.h2c("get", *ca, "-L", "-v", "-o", "found", f"{served.url}/redirect")

    assert result.code == 0
    assert f"redirected to {served.url}/echo" in result.err
    assert '"method":"GET"' in (room.folder / "found").read_text()


def test_redirection_to_a_path_in_utf_8_is_followed(room: Room) -> None:
    with push_server() as server:
        location = ((b"location", b"/caf\xc3\xa9"),)
        server.pages = {"/": Page(status=302, fields=location), "/caf%C3%A9": Page(b"here")}

        assert room.ok("get", "-L", f"{server.origin}/") == "here"


def test_compressed_content_is_decoded(room: Room, served: Site) -> None:
    ca = ["--cacert", str(certificate().ca_certfile)]

    assert room.ok("get", *ca, "--compressed", f"{served.url}/compressed") == "plain"
    assert room.h2c("get", *ca, f"{served.url}/compressed").out.startswith(b"\x1f\x8b")


def test_form_of_a_file_and_credentials_are_sent(room: Room, served: Site) -> None:
    (room.folder / "form").write_text("a=1")

    seen = room.ok(
        *["post", "--cacert", str(certificate().ca_certfile)],
        *["-d", "@form", "-u", "a:b", f"{served.url}/echo"],
    )

    assert '"text":"a=1"' in seen
    assert '["authorization","Basic YTpi"]' in seen
    assert '["content-type","application/x-www-form-urlencoded"]' in seen


def test_virtual_host_is_reached_at_an_address(room: Room, served: Site) -> None:
    port = served.live.port

    result = room.h2c(
        *["get", "-k", "--resolve", f"shop.test:{port}:127.0.0.1", f"https://shop.test:{port}/echo"]
    )

    assert result.code == 0, result
    assert f'["host","shop.test:{port}"]' in result.text


def test_proxy_makes_a_tunnel(room: Room, served: Site) -> None:
    port = served.live.port

    with forward_proxy(port) as proxy:
        through = ["--proxy", f"http://127.0.0.1:{proxy.port}"]
        done = room.h2c("get", "-k", *through, f"{served.url}/echo")
        room.ok("stop")
        until(proxy.asked.read_text, "the end of the tunnel")
        asked = proxy.asked.read_text()

    wrong = room.h2c("get", "-k", "-x", "socks5://proxy.test", f"{served.url}/echo")

    assert done.code == 0
    assert asked == f"CONNECT localhost:{port} HTTP/1.1 200\n"
    assert wrong.code == 2
    assert "a proxy of the kind socks5:// cannot be used" in wrong.err


def test_client_certificate_is_shown(room: Room, tmp_path: Path) -> None:
    own = certificates(tmp_path)
    shown = ["--cert", str(own.certfile), "--key", str(own.keyfile)]

    with site(ssl_ca_certs=str(own.cafile), ssl_cert_reqs=ssl.CERT_REQUIRED) as place:
        refused = room.h2c("get", f"{place.url}/empty")
        room.ok("get", *shown, f"{place.url}/empty")

    assert refused.code != 0
