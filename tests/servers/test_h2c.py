"""The real `h2c` command against servers that are not ours."""

from __future__ import annotations

import json
import re

import pytest

from tests.h2c.room import Room, interrupt
from tests.servers.conftest import Servers
from tests.servers.nginx import nginx
from tests.servers.running import Server
from tests.servers.site import FILES, HINTED, PAGE, SCRIPT, STYLE
from tests.warm import Piped

ALL = ("nghttpd", "node", "nginx", "apache", "h2o")
ECHO = ("nghttpd", "node", "h2o")
STORE = ("nginx", "apache")
SCHEMES = ("http", "https")

of_all = pytest.mark.parametrize("name", ALL)
over_both = pytest.mark.parametrize("scheme", SCHEMES)


def connect(room: Room, server: Server, scheme: str) -> str:
    if scheme == "http":
        return room.ok("connect", server.clear)
    return room.ok("connect", "--cacert", str(server.cafile), server.tls)


def dumped(foreground: Piped) -> str:
    """What the background process wrote until now; it ends."""
    assert interrupt(foreground) == 0
    assert foreground.stdout is not None
    return foreground.stdout.read().decode()


def titles(dump: str, start: str) -> list[str]:
    """The first lines of frames: `-> HEADERS(1)` and so on."""
    return [line for line in dump.splitlines() if line.startswith(start)]


# Connecting.


@of_all
def test_connecting_says_what_was_agreed_on(name: str, room: Room, servers: Servers) -> None:
    server = servers(name)

    clear = connect(room, server, "http")
    tls = connect(room, server, "https")

    assert clear.startswith(f"connected to {server.clear} at 127.0.0.1:")
    assert "prior knowledge" in clear
    assert re.fullmatch(rf"connected to {server.tls} at 127\.0\.0\.1:\d+: h2, TLSv1\.[23]\n", tls)


@of_all
def test_a_certificate_that_is_not_trusted_is_refused_unless_told_otherwise(
    name: str, room: Room, servers: Servers
) -> None:
    server = servers(name)

    refused = room.h2c("get", f"{server.tls}/small.txt")
    accepted = room.h2c("get", "--insecure", f"{server.tls}/small.txt")

    assert (refused.code, refused.out) == (5, b"")
    assert "certificate" in refused.err
    assert (accepted.code, accepted.out) == (0, FILES["/small.txt"])
    assert "not verified" in accepted.err


@of_all
def test_http_to_a_port_of_tls_is_told_of_https(name: str, room: Room, servers: Servers) -> None:
    server = servers(name)

    result = room.h2c("connect", server.tls.replace("https://", "http://"))

    assert result.code == 3
    assert f"if the port speaks TLS, say {server.tls}" in result.err.replace("If", "if")


@pytest.mark.parametrize("name", ["nginx", "apache"])
def test_a_server_that_knows_http1_only_is_told_of(name: str, room: Room, servers: Servers) -> None:
    server = servers(name)

    result = room.h2c("connect", server.http1)

    assert result.code == 3
    assert re.fullmatch(r"h2c: .*HTTP/1\.1.*\n", result.err)


def test_a_tls_server_that_knows_http1_only_is_told_of(room: Room, servers: Servers) -> None:
    server = servers("nginx")

    result = room.h2c("connect", "--cacert", str(server.cafile), server.http1_tls)

    assert result.code == 3
    assert re.fullmatch(r"h2c: .* does not offer HTTP/2 \(ALPN h2\).*\n", result.err)


# Apache takes an upgrade, too, but ends such a connection whenever it has to wait for something.
def test_a_connection_begins_with_an_upgrade_where_that_is_asked_for(
    room: Room, servers: Servers
) -> None:
    said = room.ok("connect", "--upgrade", servers("h2o").clear)

    assert "by HTTP/1.1 Upgrade, no TLS" in said
    for path, content in FILES.items():
        assert room.h2c("get", "--no-push-cache", path).out == content


@pytest.mark.parametrize("name", ["node", "nghttpd", "nginx"])
def test_a_server_that_takes_no_upgrade_is_told_of(name: str, room: Room, servers: Servers) -> None:
    result = room.h2c("connect", "--upgrade", servers(name).clear)

    assert result.code == 3
    assert re.fullmatch(r"h2c: .* upgrade .*prior knowledge.*\n", result.err)


# Content.


@of_all
@over_both
def test_files_come_exactly(name: str, scheme: str, room: Room, servers: Servers) -> None:
    connect(room, servers(name), scheme)

    for path, content in FILES.items():
        assert room.h2c("get", "--no-push-cache", path).out == content
    room.ok("get", "-o", "saved", "/large.bin")

    assert (room.folder / "saved").read_bytes() == FILES["/large.bin"]


@pytest.mark.parametrize("name", ECHO)
@over_both
def test_what_is_sent_comes_back(name: str, scheme: str, room: Room, servers: Servers) -> None:
    connect(room, servers(name), scheme)

    for path in ("/small.txt", "/octets.bin", "/large.bin"):
        result = room.h2c("post", "--file", "-", "/echo", stdin=FILES[path])
        assert (result.code, result.err) == (0, "")
        assert result.out == FILES[path]


@pytest.mark.parametrize("name", STORE)
@over_both
def test_what_is_put_can_be_got_and_deleted(
    name: str, scheme: str, room: Room, servers: Servers
) -> None:
    connect(room, servers(name), scheme)

    for path in ("/small.txt", "/empty.txt", "/octets.bin", "/large.bin"):
        stored = f"/stored/{scheme}-{path[1:]}"
        room.ok("put", "--fail", "--file", str(servers(name).root) + path, stored)
        assert room.h2c("get", stored).out == FILES[path]
        room.ok("delete", "--fail", stored)
        assert room.h2c("get", "--fail", stored).code == 1


@pytest.mark.parametrize("name", ["node", "h2o"])
def test_json_is_sent_with_its_type(name: str, room: Room, servers: Servers) -> None:
    foreground = room.start("--dump", "--include", "HEADERS")
    connect(room, servers(name), "http")

    assert room.ok("post", "--json", '{"a": [1, "é"]}', "/echo") == '{"a": [1, "é"]}'
    assert "content-type: application/json" in dumped(foreground)


def test_secrets_are_masked_in_the_dump_unless_they_are_wanted(
    room: Room, servers: Servers
) -> None:
    for options in ([], ["--show-secrets"]):
        foreground = room.start("--dump", "--include", "HEADERS", *options)
        connect(room, servers("nginx"), "http")
        room.ok("get", "-H", "authorization: Basic c2VjcmV0", "/small.txt")

        dump = dumped(foreground)
        assert "authorization: " in dump
        assert ("c2VjcmV0" in dump) is bool(options)


def test_an_upload_that_nginx_refuses_early_shows_why(room: Room, servers: Servers) -> None:
    server = servers("nginx")
    connect(room, server, "http")

    result = room.h2c("put", "--include", "--file", str(server.root / "large.bin"), "/refused/x")

    assert result.out.startswith(b"HTTP/2 413")
    assert result.code == 0
    assert room.h2c("get", "/small.txt").out == FILES["/small.txt"]


@pytest.mark.parametrize("name", ["nghttpd", "node"])
def test_trailers_follow_the_content(name: str, room: Room, servers: Servers) -> None:
    connect(room, servers(name), "http")
    path = "/trailers" if name == "node" else "/small.txt"

    shown = room.ok("get", "--include", path)

    assert shown.endswith("\n\nchecksum: 1a2b\n")


def test_a_stream_that_node_resets_fails_and_the_connection_goes_on(
    room: Room, servers: Servers
) -> None:
    connect(room, servers("node"), "http")

    result = room.h2c("get", "/reset")

    assert (result.code, result.out) == (1, b"half")
    assert "INTERNAL_ERROR" in result.err
    assert room.h2c("get", "/small.txt").out == FILES["/small.txt"]


# Pushes and hints.


@of_all
@over_both
def test_pushes_serve_the_next_requests_and_nothing_is_sent_for_them(
    name: str, scheme: str, room: Room, pushing: Servers
) -> None:
    foreground = room.start("--dump", "--include", "HEADERS,PUSH_PROMISE")
    connect(room, pushing(name), scheme)

    assert room.h2c("get", PAGE).out == FILES[PAGE]
    assert room.ok("push-list").splitlines() == [STYLE, SCRIPT]
    style = room.h2c("get", "-v", STYLE)
    assert style.out == FILES[STYLE]
    assert style.err == "h2c: 200, pushed on stream 2\n"
    assert room.h2c("get", SCRIPT).out == FILES[SCRIPT]
    assert room.ok("push-list") == ""

    dump = dumped(foreground)
    assert len(titles(dump, "-> HEADERS")) == 1
    assert len(titles(dump, "<- PUSH_PROMISE")) == 2


@pytest.mark.parametrize("name", ["node", "apache"])
def test_early_hints_are_shown_apart(name: str, room: Room, servers: Servers) -> None:
    foreground = room.start("--dump", "--include", "HEADERS")
    connect(room, servers(name), "http")

    shown = room.ok("get", "--include", PAGE).replace("\r", "")

    hint, final, _ = shown.split("\n\n", 2)
    assert hint.startswith("HTTP/2 103")
    assert f"link: <{STYLE}>; rel=preload" in hint
    assert final.startswith("HTTP/2 200")
    assert "link" not in final
    dump = dumped(foreground)
    assert dump.index(":status: 103") < dump.index(":status: 200")


@pytest.mark.parametrize("name", ["node", "apache"])
def test_hints_are_followed_and_answer_the_next_requests(
    name: str, room: Room, servers: Servers
) -> None:
    foreground = room.start("--dump", "--include", "HEADERS")
    connect(room, servers(name), "http")

    page = room.h2c("get", "--follow-hints", HINTED)
    style = room.h2c("get", "-v", STYLE)
    script = room.h2c("get", SCRIPT)

    assert page.out == FILES[HINTED]
    assert [line.split(":")[2].strip() for line in page.err.splitlines()] == [STYLE, SCRIPT]
    assert (style.out, script.out) == (FILES[STYLE], FILES[SCRIPT])
    assert "hinted and fetched" in style.err
    dump = dumped(foreground)
    assert len(titles(dump, "-> HEADERS")) == 3
    # The hint came first, then what it names was asked for.
    assert dump.index(":status: 103") < dump.index(f":path: {STYLE}")


def test_a_push_that_node_breaks_off_is_asked_for(room: Room, servers: Servers) -> None:
    connect(room, servers("node"), "http")
    room.ok("get", "/broken-push")

    assert room.ok("get", "/broken.txt") == "whole"


def test_fifty_pushes_are_listed_and_served(room: Room, servers: Servers) -> None:
    connect(room, servers("node"), "http")
    room.ok("get", "/pushes?50")

    assert room.ok("push-list").split() == [f"/pushed/{number}" for number in range(1, 51)]
    assert room.ok("get", "/pushed/50") == "push 50"


# Connections that end.


def test_a_connection_that_nginx_ends_after_some_requests_is_made_again(room: Room) -> None:
    foreground = room.start("--dump", "--include", "GOAWAY")

    with nginx(keepalive_requests=3) as server:
        connect(room, server, "https")
        answers = [room.h2c("get", "/small.txt") for _ in range(10)]

    assert [(answer.code, answer.out) for answer in answers] == [(0, FILES["/small.txt"])] * 10
    assert len(titles(dumped(foreground), "<- GOAWAY")) == 3


def test_a_goaway_of_node_leaves_its_answer_and_the_next_request_connects(
    room: Room, servers: Servers
) -> None:
    connect(room, servers("node"), "http")

    assert room.ok("get", "/goaway") == "the last one"
    assert room.ok("get", "/small.txt").encode() == FILES["/small.txt"]


@of_all
def test_disconnecting_says_goaway(name: str, room: Room, servers: Servers) -> None:
    foreground = room.start("--dump", "--include", "GOAWAY")
    connect(room, servers(name), "http")

    room.ok("disconnect")

    dump = dumped(foreground)
    assert len(titles(dump, "-> GOAWAY")) == 1
    assert "NO_ERROR" in dump


@of_all
def test_ping_is_answered(name: str, room: Room, servers: Servers) -> None:
    connect(room, servers(name), "http")

    assert re.fullmatch(r"\d+\.\d{3} ms\n", room.ok("ping"))


@pytest.mark.parametrize("name", ["apache", "h2o"])
def test_an_archive_has_the_request_that_asked_for_the_upgrade(
    name: str, room: Room, servers: Servers
) -> None:
    server = servers(name)
    foreground = room.start("--dump=visit.har", "--dump-format=har")
    room.ok("connect", "--upgrade", server.clear)
    room.ok("get", "/small.txt")
    assert interrupt(foreground) == 0

    entries = json.loads((room.folder / "visit.har").read_bytes())["log"]["entries"]
    # Apache says GOAWAY soon after an upgrade, so the request may be on a second connection.
    first, *_, last = entries
    assert (first["request"]["method"], first["_streamId"]) == ("OPTIONS", 1)
    assert [hint["status"] for hint in first["_informational"]] == [101]
    assert last["request"]["url"] == server.clear + "/small.txt"
    assert last["response"]["content"]["text"] == FILES["/small.txt"].decode()


@of_all
def test_a_series_of_pings_ends_with_statistics(name: str, room: Room, servers: Servers) -> None:
    connect(room, servers(name), "http")

    lines = room.ok("ping", "--interval", "1ms", "--count", "5").splitlines()

    assert all(re.fullmatch(r"\d+\.\d{3} ms", line) for line in lines[:5])
    assert lines[5].startswith("5 sent, 5 answered; min/avg/max/mdev ")


@of_all
def test_streams_are_shown_with_their_windows(name: str, room: Room, servers: Servers) -> None:
    connect(room, servers(name), "http")
    room.ok("get", "/small.txt")
    room.h2c("get", "--fail", "/is-not-there")

    first, *streams = room.ok("stream-info", "-v", "--closed").splitlines()

    assert re.fullmatch(r"0: the connection, may send \d+, may receive \d+", first)
    assert len(streams) == 2
    assert re.fullmatch(r"1: GET /small\.txt closed, status 200, received \d+", streams[0])
    assert streams[1].startswith("3: GET /is-not-there closed, status 404")
