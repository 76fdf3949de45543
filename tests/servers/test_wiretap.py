"""The real `h2c wiretap` between clients and servers that are not ours: whatever a client gets
without it, it gets with it, octet for octet."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from headstart import devca
from tests.h2c.room import PATIENCE, Room, interrupt
from tests.peers import peer
from tests.server.apps import pushing
from tests.server.live import LiveServer, running
from tests.servers.conftest import Servers
from tests.servers.running import Server
from tests.servers.site import FILES, PAGE, SCRIPT, STYLE
from tests.warm import Piped

CLIENTS = Path(__file__).parents[1] / "clients"
SIDES = [("https", "https"), ("http", "http"), ("https", "http"), ("http", "https")]


class Tapped:
    """A wiretap that runs.

    Attributes:
        origin: Where clients connect.
    """

    def __init__(self, process: Piped, file: Path) -> None:
        assert process.stderr is not None
        line = process.stderr.readline().decode()
        found = re.match(r"h2c: listening on (\S+), forwarding to \S+; Ctrl-C ends it\n", line)
        assert found, line
        self.origin = found[1]
        self._process = process
        self._file = file

    def end(self) -> str:
        """Ctrl-C; what it says then."""
        assert interrupt(self._process) == 0
        assert self._process.stderr is not None
        return self._process.stderr.read().decode()

    def frames(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._file.read_text().splitlines()]

    def kinds(self) -> set[str]:
        return {frame["type"] for frame in self.frames()}


@contextmanager
def tapping(room: Room, near: str, remote: str, *options: str) -> Iterator[Tapped]:
    file = room.folder / "frames.jsonl"
    arguments = [f"--dump={file}", "--dump-format=json", *options]
    process = room.begin("wiretap", *arguments, f"{near}://localhost:0", remote)
    yield Tapped(process, file)
    process.kill()


def trusting(server: Server) -> tuple[str, str]:
    return ("--cacert", str(server.cafile))


def run(*command: str) -> bytes:
    done = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def origin_of(server: Server, scheme: str) -> str:
    return server.tls if scheme == "https" else server.clear


# nghttp and nghttpd.


@pytest.mark.parametrize(("near", "far"), SIDES)
def test_nghttp_gets_from_nghttpd_what_it_gets_without(
    near: str, far: str, room: Room, servers: Servers
) -> None:
    server = servers("nghttpd")
    nghttp = peer("nghttp")

    with tapping(room, near, origin_of(server, far), *trusting(server)) as tapped:
        for path in ("/octets.bin", "/large.bin", "/empty.txt"):
            assert run(nghttp, "--no-verify-peer", tapped.origin + path) == FILES[path]
        assert tapped.end().count("\n") == 1

    assert "NOT_HTTP2" not in tapped.kinds()
    assert not [frame for frame in tapped.frames() if "problem" in frame]
    assert {frame["connection"] for frame in tapped.frames()} == {1, 2, 3}


def statistics(nghttp: str, url: str) -> list[list[str]]:
    """Path, size, status, and a star for a push, of everything that came."""
    lines = run(nghttp, "--no-verify-peer", "--null-out", "--stat", url).decode().splitlines()
    rows = [re.split(r"\s+", line.strip()) for line in lines if re.match(r"\s*\d+\s", line)]
    return sorted([row[-1], row[-2], row[-3], str("*" in row)] for row in rows)


def test_nghttp_gets_the_pushes_of_nghttpd(room: Room, servers: Servers) -> None:
    server = servers("nghttpd")
    nghttp = peer("nghttp")

    direct = statistics(nghttp, server.tls + PAGE)
    with tapping(room, "https", server.tls, *trusting(server)) as tapped:
        through = statistics(nghttp, tapped.origin + PAGE)
        tapped.end()

    assert through == direct
    assert {row[0] for row in through} == {PAGE, STYLE, SCRIPT}
    assert "PUSH_PROMISE" in tapped.kinds()


# curl and nginx.


@pytest.mark.parametrize(
    ("near", "far", "how"),
    [
        ("https", "tls", "--http2"),
        ("https", "tls", "--http1.1"),
        ("https", "tls", "--no-alpn"),
        ("https", "http1_tls", "--http2"),
        ("https", "clear", "--http2"),
        ("http", "tls", "--http2-prior-knowledge"),
        ("http", "tls", "--http1.1"),
        ("http", "clear", "--http2-prior-knowledge"),
        ("http", "http1", "--http1.1"),
    ],
)
def test_curl_gets_from_nginx_what_it_gets_without_and_in_the_same_version(
    near: str, far: str, how: str, room: Room, servers: Servers
) -> None:
    server = servers("nginx")
    remote: str = getattr(server, far)
    curl = [peer("curl"), "-sS", "--insecure", how, "-w", "%{http_version}"]

    same_way = near == remote.partition(":")[0]
    direct = run(*curl, remote + "/large.bin") if same_way else None
    with tapping(room, near, remote, *trusting(server)) as tapped:
        through = run(*curl, tapped.origin + "/large.bin")
        tapped.end()

    body, version = through[: len(FILES["/large.bin"])], through[len(FILES["/large.bin"]) :]
    assert body == FILES["/large.bin"]
    assert direct is None or through == direct
    decoded = "NOT_HTTP2" not in tapped.kinds()
    assert version == (b"2" if decoded else b"1.1")


def test_curl_puts_to_nginx_what_it_puts_without(
    room: Room, servers: Servers, tmp_path: Path
) -> None:
    server = servers("nginx")
    upload = tmp_path / "upload"
    upload.write_bytes(FILES["/large.bin"])
    curl = [peer("curl"), "-sS", "--insecure", "--http2"]

    with tapping(room, "https", server.tls, *trusting(server)) as tapped:
        run(*curl, "-T", str(upload), f"{tapped.origin}/stored/through.bin")
        tapped.end()

    assert run(*curl, f"{server.tls}/stored/through.bin") == FILES["/large.bin"]


def test_many_clients_at_once_get_each_what_is_theirs(room: Room, servers: Servers) -> None:
    server = servers("nginx")
    paths = ["/large.bin", "/octets.bin", "/small.txt", "/empty.txt"] * 10

    with tapping(room, "http", server.http1) as tapped:
        port = int(tapped.origin.rpartition(":")[2])
        with ThreadPoolExecutor(len(paths)) as pool:
            bodies = list(pool.map(lambda path: over_http1(port, path), paths))
        said = tapped.end()

    assert bodies == [FILES[path] for path in paths]
    assert said.startswith("h2c: connections: 40, ")


def over_http1(port: int, path: str) -> bytes:
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
        connection.sendall(
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
        )
        with connection.makefile("rb") as answer:
            return answer.read().partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize("offered", ["h2,http/1.1", "http/1.1,h2", "http/1.1", "x/1"])
@pytest.mark.parametrize("far", ["tls", "http1_tls"])
def test_the_client_is_given_by_alpn_what_the_server_chooses(
    far: str, offered: str, room: Room, servers: Servers
) -> None:
    server = servers("nginx")
    remote: str = getattr(server, far)

    direct = alpn(remote, offered)
    with tapping(room, "https", remote, *trusting(server)) as tapped:
        through = alpn(tapped.origin, offered)
        tapped.end()

    if direct:
        assert through == direct
    else:
        # Some servers refuse a client they have nothing in common with, others go on without ALPN.
        assert through in ("", "No ALPN negotiated")


def alpn(origin: str, offered: str) -> str:
    """What `openssl s_client` says of ALPN; "" where there is no connection."""
    host = origin.removeprefix("https://")
    command = [peer("openssl"), "s_client", "-connect", host, "-alpn", offered]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, check=False
    )
    found = re.search(rb"^(ALPN protocol: .*|No ALPN negotiated)$", done.stdout, re.MULTILINE)
    return found[1].decode() if found and done.returncode == 0 else ""


def test_curl_that_upgrades_to_http2_with_apache_is_decoded(room: Room, servers: Servers) -> None:
    server = servers("apache")
    curl = [peer("curl"), "-sS", "--http2", "-w", "%{http_version}"]

    direct = run(*curl, server.clear + "/octets.bin")
    with tapping(room, "http", server.clear) as tapped:
        through = run(*curl, tapped.origin + "/octets.bin")
        tapped.end()

    assert through == direct == FILES["/octets.bin"] + b"2"
    assert {"UPGRADE", "PREFACE", "HEADERS", "DATA"} <= tapped.kinds()
    (asked,) = [frame for frame in tapped.frames() if frame["type"] == "UPGRADE"][:1]
    assert [":path", "/octets.bin"] in asked["headers"]


# Node, and our own server.


@pytest.fixture(scope="module")
def ours() -> Iterator[LiveServer]:
    with running(pushing, tls=True) as server:
        yield server


def node(url: str, *options: str) -> list[str]:
    script = CLIENTS / "node_push_client.mjs"
    return sorted(run(peer("node"), str(script), url, *options).decode().splitlines())


@pytest.mark.parametrize("options", [[], ["--no-push"]])
def test_node_gets_pushes_and_103_from_our_server(
    options: list[str], room: Room, ours: LiveServer
) -> None:
    direct = node(f"{ours.url}/page", "--page", *options)
    with tapping(room, "https", ours.url) as tapped:
        through = node(f"{tapped.origin}/page", "--page", *options)
        tapped.end()

    assert through == direct
    assert ("PUSH_PROMISE" in tapped.kinds()) == (not options)
    assert 103 in [frame.get("status") for frame in tapped.frames()]


def test_h2c_itself_gets_pushes_through_the_wiretap(room: Room, servers: Servers) -> None:
    server = servers("node")

    with tapping(room, "https", server.tls, *trusting(server)) as tapped:
        room.ok("get", "--cacert", str(devca.ca_certificate()), tapped.origin + PAGE)
        pushed = room.ok("push-list").split()
        room.ok("stop")
        tapped.end()

    assert sorted(pushed) == sorted([STYLE, SCRIPT])


# The command.


def test_an_archive_of_a_page_is_one_that_replay_reads(room: Room, servers: Servers) -> None:
    server = servers("nghttpd")
    archive = room.folder / "visit.har"

    process = room.begin(
        *("wiretap", "--dump=visit.har", "--dump-format=har", *trusting(server)),
        *("http://localhost:0", server.tls),
    )
    tapped = Tapped(process, archive)
    run(peer("nghttp"), "--null-out", tapped.origin + PAGE)
    tapped.end()

    entries = json.loads(archive.read_bytes())["log"]["entries"]
    assert sorted(entry["_was_pushed"] for entry in entries if "_was_pushed" in entry) == [1, 1]
    replay = [sys.executable, "-m", "headstart.cli", "replay", str(archive)]
    assert b"visit.har: 3 lines, 0 could not be read" in run(*replay)


def test_text_goes_to_standard_output_and_the_last_line_says_how_much_it_was(
    room: Room, servers: Servers
) -> None:
    server = servers("nghttpd")
    process = room.begin("wiretap", "--include", "HEADERS", "http://localhost:0", server.clear)
    tapped = Tapped(process, room.folder)

    run(peer("nghttp"), "--null-out", tapped.origin + "/small.txt")
    said = tapped.end()

    assert process.stdout is not None
    shown = process.stdout.read().decode()
    assert re.match(r"-> HEADERS\(\d+\) connection 1, \d\.\d{3} s, \d+ bytes\n", shown)
    summary = r"h2c: connections: 1, frames: \d+, bytes to the server: \d+, bytes from it: \d+\n"
    assert re.fullmatch(summary, said)


def test_the_keys_of_both_sides_are_kept(room: Room, servers: Servers) -> None:
    server = servers("nginx")

    with tapping(room, "https", server.tls, *trusting(server), "--keylog", "keys") as tapped:
        run(peer("curl"), "-sS", "--insecure", tapped.origin + "/small.txt")
        tapped.end()

    lines = [line.split() for line in (room.folder / "keys").read_text().splitlines()]
    clients = {line[1] for line in lines if line[0] == "CLIENT_TRAFFIC_SECRET_0"}
    assert len(clients) == 2  # client randoms: curl's, and that of the wiretap


def test_secrets_are_hidden_unless_told_otherwise(room: Room, servers: Servers) -> None:
    server = servers("nghttpd")
    asks = [peer("nghttp"), "--null-out", "-H", "cookie: id=s3cret"]

    with tapping(room, "http", server.clear) as tapped:
        run(*asks, tapped.origin + "/small.txt")
        tapped.end()
    hidden = (room.folder / "frames.jsonl").read_text()
    with tapping(room, "http", server.clear, "--show-secrets") as tapped:
        run(*asks, tapped.origin + "/small.txt")
        tapped.end()

    assert "s3cret" not in hidden
    assert '["cookie","{hidden}"]' in hidden
    assert "s3cret" in (room.folder / "frames.jsonl").read_text()


def test_a_port_that_is_taken_is_said_in_one_line(room: Room) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = room.h2c("wiretap", f"http://127.0.0.1:{port}", "http://127.0.0.1:1")

    assert result.code == 1
    assert result.err == (
        f"h2c: cannot listen on http://127.0.0.1:{port}: Address already in use; "
        "choose another port, or end what listens there\n"
    )


def test_a_certificate_that_cannot_be_read_is_said_in_one_line(room: Room) -> None:
    result = room.h2c("wiretap", "--cacert", "missing.pem", "http://localhost:0", "localhost:1")

    assert (result.code, result.err.count("\n")) == (2, 1)
    assert "missing.pem" in result.err


def test_others_on_the_network_are_kept_out_unless_told_otherwise(room: Room) -> None:
    result = room.h2c("wiretap", "http://0.0.0.0:0", "localhost:1")

    assert (result.code, result.err.count("\n")) == (2, 1)
    assert "--listen-anywhere lets them" in result.err


def test_a_dump_that_nobody_reads_ends_it(room: Room, servers: Servers) -> None:
    server = servers("nghttpd")
    process = room.begin("wiretap", "http://localhost:0", server.clear)
    tapped = Tapped(process, room.folder)
    assert process.stdout is not None
    process.stdout.close()

    subprocess.run(
        [peer("nghttp"), "--null-out", tapped.origin + "/small.txt"],
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )

    assert process.wait(PATIENCE) == 141
    process.stdout = None
