"""What `h2c` does, in the order in which its manual tells it: with the real command, in pipes and
pseudo-terminals, against real servers. What the original got wrong is in `test_defects`.
"""

from __future__ import annotations

import filecmp
import json
import os
import re
import signal
import socket
import stat
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hyperframe.frame import ContinuationFrame, DataFrame, GoAwayFrame, HeadersFrame

from headstart import __version__
from headstart.client.origin import Origin
from headstart.h2c import exits
from tests.h2c.frame_server import Connection, frame_server
from tests.h2c.on_terminal import on_terminal
from tests.h2c.push_server import Page, PushServer, push_server
from tests.h2c.room import COMMAND, PATIENCE, Room, interrupt, wait_until
from tests.servers.conftest import Servers
from tests.servers.running import Server
from tests.servers.site import FILES

ROUND_TRIP = r"\d+\.\d{3} ms\r?\n"
STATISTICS = r"(\d+) sent, \1 answered; min/avg/max/mdev [\d.]+/[\d.]+/[\d.]+/[\d.]+ ms\r?\n"


@pytest.fixture
def server() -> Iterator[PushServer]:
    with push_server() as running:
        yield running


def connect(room: Room, server: Server) -> str:
    return room.ok("connect", "--cacert", str(server.cafile), server.tls)


# Process: auto-start, a private socket, stale sockets, idle time-out, named sessions.


def test_the_first_command_starts_the_process_and_its_socket_is_private(
    room: Room, server: PushServer
) -> None:
    room.ok("connect", server.origin)

    mode = stat.S_IMODE((room.private / "default.sock").stat().st_mode)
    assert (mode, stat.S_IMODE(room.private.stat().st_mode)) == (0o600, 0o700)
    assert room.ok("pid") == (room.private / "default.lock").read_text()


def test_a_process_that_was_killed_leaves_nothing_that_is_in_the_way(
    room: Room, server: PushServer
) -> None:
    room.ok("start", "--detach")
    pid = int(room.ok("pid"))
    os.kill(pid, 9)
    wait_until(lambda: not Path(f"/proc/{pid}/cmdline").exists() or is_zombie(pid))

    assert room.ok("get", f"{server.origin}/x") == "GET /x: "
    assert int(room.ok("pid")) != pid


def is_zombie(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def test_a_session_of_its_own_has_its_own_process_and_fields(
    room: Room, server: PushServer
) -> None:
    room.ok("--session", "one", "set", "a", "1")

    assert room.ok("set") == ""
    assert room.ok("set", "--session", "one") == "a: 1\n"


def test_without_use_it_ends_after_the_idle_time_out(room: Room) -> None:
    room.ok("start", "--detach", "--idle-timeout", "50ms")

    wait_until(lambda: not (room.private / "default.sock").exists())
    assert room.h2c("pid").code == 3


# Connections: several, the last one current; connect to another host switches.


def test_several_connections_are_open_and_the_last_one_is_current(
    room: Room, servers: Servers
) -> None:
    for name in ("nghttpd", "node"):
        room.ok("connect", servers(name).clear)

    assert room.ok("connections") == (f"  {servers('nghttpd').clear}\n* {servers('node').clear}\n")
    room.ok("connect", servers("nghttpd").clear)
    assert f"* {servers('nghttpd').clear}\n" in room.ok("connections")


# Transport: TLS verified, --cacert, --insecure said each time; http://, --upgrade, IPv6.


def test_tls_is_verified_unless_told_otherwise(room: Room, servers: Servers) -> None:
    server = servers("nghttpd")

    assert room.h2c("connect", server.tls).code == 5
    assert ": h2, TLSv1." in connect(room, server)
    for arguments in (["connect", "--insecure", server.tls], ["get", "/small.txt"]):
        assert "is not verified (--insecure)" in room.h2c(*arguments).err


@pytest.mark.parametrize("name", ["apache", "h2o"])
def test_cleartext_begins_with_prior_knowledge_or_with_an_upgrade(
    name: str, room: Room, servers: Servers
) -> None:
    origin = servers(name).clear

    assert "h2c by prior knowledge, no TLS" in room.ok("connect", origin)
    assert "h2c by HTTP/1.1 Upgrade, no TLS" in room.ok("connect", "--upgrade", origin)
    for _ in range(2):
        # Apache closes an upgraded connection that idles: the next request makes another.
        assert room.h2c("get", "/small.txt").out == FILES["/small.txt"]


def test_an_upgrade_that_is_refused_is_told(room: Room, servers: Servers) -> None:
    result = room.h2c("connect", "--upgrade", servers("nginx").clear)

    assert result.code == 3
    assert re.fullmatch(r"h2c: [^\n]*upgrade[^\n]*\n", result.err)


# start [--dump] [--include TYPES] [--exclude TYPES]: any number of types; --dump=FILE, formats.


def test_a_dump_has_the_types_that_were_asked_for(room: Room, servers: Servers) -> None:
    types = ["--include", "HEADERS,PUSH_PROMISE", "--include", "DATA", "--exclude", "DATA"]
    foreground = room.start("--dump", *types)
    room.ok("get", f"{servers('nghttpd').clear}/page.html")

    assert interrupt(foreground) == 0
    assert foreground.stdout is not None
    shown = set(re.findall(r"^(?:->|<-) (\w+)", foreground.stdout.read().decode(), re.MULTILINE))
    assert shown == {"HEADERS", "PUSH_PROMISE"}


def test_a_dump_names_what_has_a_name_and_numbers_the_rest(room: Room) -> None:
    def say(connection: Connection, stream_id: int, path: str) -> None:
        early = connection.block(103, ("link", "</a.css>; rel=preload"))
        block = connection.block(200, ("set-cookie", "sid=secret"))
        connection.send(HeadersFrame(stream_id, early, flags=["END_HEADERS"]))
        connection.raw(0x42, 0, b"none")
        connection.raw(0xA, 0, b'\x00\x00h2=":443"')
        connection.raw(0xC, 0, b"\x00\x13https://example.org")
        connection.send(
            HeadersFrame(stream_id, block[:1]),
            ContinuationFrame(stream_id, block[1:], flags=["END_HEADERS"]),
            GoAwayFrame(0, last_stream_id=stream_id, error_code=0xB, additional_data=b"calm\x1b"),
            DataFrame(stream_id, b"ok", flags=["END_STREAM"]),
        )

    room.ok("start", "--detach", "--dump=frames.txt")
    with frame_server() as one, frame_server() as other:
        one.settings = {0x3: 50, 0xABCD: 7}
        one.on_request = say
        room.ok("connect", one.origin)
        room.ok("connect", other.origin)
        assert room.ok("get", f"{one.origin}/") == "ok"
        room.ok("stop")

    dump = (room.folder / "frames.txt").read_text()
    received = "\n".join(re.findall(r"<- (.*(?:\n    .*)*)", dump))
    for shown in (
        r"SETTINGS\(0\) [\d.]+ s, 12 bytes\n    - ACK\n    MAX_CONC\w+: 50\n    0xabcd: 7\n",
        r"HEADERS\(1\) connection 1, [\d.]+ s, \d+ bytes, informational 103\n",
        r"UNKNOWN_0x42\(0\) connection 1, [\d.]+ s, 4 bytes\n    payload: 6e6f6e65\n",
        r"ALTSVC\(0\) .*\n    origin: \n    field value: h2=\":443\"\n",
        r"ORIGIN\(0\) .*\n    origin: https://example.org\n",
        r"HEADERS\(1\) .* 1 byte\n(    . .*\n)*    :status: 200\n    set-cookie: {hidden}\n",
        r"CONTINUATION\(1\) .*\n    \+ END_HEADERS\n",
        r"GOAWAY\(0\) .*\n    last stream: 1\n    error: ENHANCE_YOUR_CALM\n    .*: calm\\x1b",
        r"SETTINGS\(0\) connection 2, ",
    ):
        assert re.search(shown, received), shown


@pytest.mark.parametrize(("form", "start"), [("text", "-> PREFACE"), ("json", "{"), ("har", "{")])
def test_a_dump_goes_to_a_file_in_the_form_that_was_asked_for(
    form: str, start: str, room: Room, servers: Servers
) -> None:
    room.ok("start", "--detach", "--dump=shown", "--dump-format", form)
    room.ok("get", f"{servers('nghttpd').clear}/small.txt")
    room.ok("stop")

    shown = (room.folder / "shown").read_text()
    assert shown.startswith(start)
    if form == "har":
        assert json.loads(shown)["log"]["entries"]


def test_tls_keys_go_to_a_file(room: Room, servers: Servers) -> None:
    room.ok("start", "--detach", "--keylog", "keys")
    connect(room, servers("nghttpd"))

    assert "CLIENT_" in (room.folder / "keys").read_text()


# connect, disconnect: one line; the server's SETTINGS with -v; GOAWAY on disconnect.


def test_connect_is_one_line_and_the_servers_settings_with_v(room: Room, servers: Servers) -> None:
    server = servers("nghttpd")

    assert connect(room, server).count("\n") == 1
    assert "MAX_CONCURRENT_STREAMS: 8\n" in room.ok(
        "connect", "-v", "--cacert", str(server.cafile), server.tls
    )


def test_disconnect_says_goaway(room: Room, server: PushServer) -> None:
    room.ok("connect", server.origin)

    assert room.ok("disconnect") == ""
    wait_until(lambda: server.goaways == [0])


# get, put, post and so on: exact bytes to standard output or -o FILE.


@pytest.mark.parametrize("verb", ["post", "put", "patch", "delete"])
def test_octets_are_exact_both_ways_through_pipes_and_files(
    verb: str, room: Room, servers: Servers
) -> None:
    octets = bytes(range(256)) * 40
    (room.folder / "source").write_bytes(octets)
    url = f"{servers('node').clear}/echo"

    piped = room.h2c(verb, "--file", "-", url, stdin=octets)
    room.ok(verb, "--file", "source", "-o", "target", url)

    assert piped.out == octets
    assert (room.folder / "target").read_bytes() == octets


def test_a_terminal_is_shown_how_far_a_download_is(room: Room, servers: Servers) -> None:
    command = ["get", "-o", "large", f"{servers('nghttpd').clear}/large.bin"]
    with on_terminal(room, "get", "-o", "first", f"{servers('nghttpd').clear}/small.txt") as small:
        assert small.end() == 0
    with on_terminal(room, *command) as large:
        assert large.end() == 0

    assert small.seen == ""
    assert (room.folder / "large").read_bytes() == FILES["/large.bin"]
    # Five megabytes may take less than the time between two lines.
    assert large.seen == "" or re.match(r"\r(up|down) +\d+ %  [━─]+  [\d.]+ MB of", large.seen)


def test_a_terminal_is_shown_how_far_an_upload_is_and_the_line_goes(
    room: Room, servers: Servers
) -> None:
    room.ok("connect", servers("node").clear)
    os.mkfifo(room.folder / "fifo")
    piece, sent = os.urandom(300_000), 0
    with open(room.folder / "echoed", "wb") as target:
        arguments = ["post", "--file", "fifo", "/echo"]
        with on_terminal(room, *arguments, stdout=target.fileno()) as terminal:
            with open(room.folder / "fifo", "wb") as fifo:
                while "MB, " not in terminal.seen:
                    fifo.write(piece)
                    fifo.flush()
                    sent += 1
                    terminal.look(0.05)
            assert terminal.end() == 0

    assert (room.folder / "echoed").read_bytes() == piece * sent
    assert re.match(r"\r(up|down) [\d.]+ MB, [\d.]+ .?B/s\x1b\[K", terminal.seen)
    assert terminal.seen.endswith("\r\x1b[K")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_gigabyte_comes_exactly_in_less_than_50_megabytes(room: Room, servers: Servers) -> None:
    server = servers("nghttpd")
    source = server.root / "gigabyte"
    with open(source, "wb") as file:
        for number in range(1000):
            file.write(os.urandom(4096).ljust(999_997, number.to_bytes(2, "big")[-1:]))
    connect(room, server)
    pid = int(room.ok("pid"))

    # A user's: one that is forked holds what was imported before, too.
    process = subprocess.Popen(
        [*COMMAND, "get", "-o", "target", "/gigabyte"], cwd=room.folder, env=room.environment
    )
    peak = 0
    while process.poll() is None:
        peak = max(peak, memory(process.pid))
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.05)

    assert process.returncode == 0
    assert filecmp.cmp(source, room.folder / "target", shallow=False)
    assert peak < 50_000
    assert memory(pid) < 50_000
    source.unlink()


def memory(pid: int) -> int:
    """The most that a process held, in kB; 0 once it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) if found else 0


def test_every_option_of_a_request_does_what_it_says(room: Room, server: PushServer) -> None:
    room.ok("connect", server.origin)

    shown = room.ok("get", "--include", "/x")
    assert shown == "HTTP/2 200\ncontent-type: text/plain\n\nGET /x: "
    room.ok("post", "--json", "{}", "-H", "A: b", "/x")
    assert (server.fields["content-type"], server.fields["a"]) == ("application/json", "b")
    room.ok("post", "--data", "x", "--content-type", "a/b", "/x")
    assert server.fields["content-type"] == "a/b"
    assert room.h2c("get", "--fail", "/status/500").code == 1
    assert room.h2c("get", "--timeout", "100ms", "/hang").code == 4
    room.ok("request", "propfind", "/x")
    assert server.requests[-1] == "PROPFIND /x"


# set, unset: add, lower-case, last over reconnects; set alone lists.


def test_fields_that_are_set_last_over_reconnects(room: Room, server: PushServer) -> None:
    room.ok("set", "X-Kept", "one")
    room.ok("get", f"{server.origin}/x")
    room.ok("disconnect")
    room.ok("get", f"{server.origin}/y")

    assert server.fields["x-kept"] == "one"
    assert room.ok("set") == "x-kept: one\n"
    room.ok("unset", "X-Kept")
    assert room.ok("set") == ""


# ping [--interval 500ms] [--stop]: the round trip; statistics at the end of a series.


def test_a_ping_prints_the_round_trip(room: Room, servers: Servers) -> None:
    room.ok("connect", servers("nghttpd").clear)

    assert re.fullmatch(ROUND_TRIP, room.ok("ping"))
    assert re.fullmatch(
        f"({ROUND_TRIP}){{3}}3 sent, 3 answered; .*\n",
        room.ok("ping", "--count", "3", "--interval", "1ms"),
    )


def test_ctrl_c_ends_a_series_of_pings_with_statistics(room: Room, servers: Servers) -> None:
    room.ok("connect", servers("nghttpd").clear)

    with on_terminal(room, "ping", "--interval", "10s") as terminal:
        terminal.until(" ms\r\n")
        terminal.press("\x03")
        assert terminal.end() == 0

    assert re.fullmatch(rf"{ROUND_TRIP}(?:\^C)?\r?\n{STATISTICS}", terminal.seen)
    assert re.fullmatch(ROUND_TRIP, room.ok("ping"))


def test_another_command_ends_a_series_of_pings(room: Room, servers: Servers) -> None:
    room.ok("connect", servers("nghttpd").clear)
    series = room.begin("ping", "--interval", "10s")
    assert series.stdout is not None
    first = series.stdout.readline()

    room.ok("ping", "--stop")

    assert series.wait(PATIENCE) == 0
    assert re.fullmatch(ROUND_TRIP + STATISTICS, (first + series.stdout.read()).decode())
    assert "no series of pings runs" in room.h2c("ping", "--stop").err


# push-list: a path a line; -l or --json has all that is known.


def test_pushes_that_wait_are_listed(room: Room, servers: Servers) -> None:
    connect(room, servers("nghttpd"))
    room.ok("get", "/page.html")

    assert room.ok("push-list") == "/style.css\n/script.js\n"
    assert re.search(
        r"\n2 +1 +200 +22 .* complete +text/css .*/style.css\n", room.ok("push-list", "-l")
    )
    first = json.loads(room.ok("push-list", "--json"))[0]
    assert (first["path"], first["status"], first["size"]) == ("/style.css", 200, 22)
    assert first["authority"] == servers("nghttpd").tls.removeprefix("https://")


# stream-info [--closed]: ID: METHOD PATH STATE; windows with -v.


def test_streams_are_listed_with_their_windows(room: Room, server: PushServer) -> None:
    room.ok("connect", server.origin)
    hanging = room.begin("get", "--timeout", "60", "/hang")
    wait_until(lambda: server.requests == ["GET /hang"])
    room.ok("post", "--data", "x", "/data")

    line = "1: GET /hang half-closed (local)"
    assert room.ok("stream-info").splitlines()[0] == line
    verbose = room.ok("stream-info", "-v", "--closed").splitlines()
    assert re.fullmatch(r"0: the connection, may send \d+, may receive \d+", verbose[0])
    assert verbose[1].startswith(f"{line}, received 0, may send 65535, may receive ")
    assert "2: GET /data closed (cached push promise), promised on 3, status 200" in verbose[2]
    assert verbose[3] == "3: POST /data closed, status 200, received 0"
    interrupt(hanging)


# pid, stop, version.


def test_pid_stop_and_version(room: Room) -> None:
    assert room.ok("version") == f"h2c {__version__}\n"
    room.ok("start", "--detach")
    assert Path(f"/proc/{room.ok('pid').strip()}").exists()
    assert room.ok("stop") == ""
    assert room.h2c("stop").code == 3


# Exit status: 0 ok, 1 request failed, 2 usage, 3 not connected, 4 time-out, 5 TLS, also of --help.


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["get", "{origin}/x"], 0),
        (["--help"], 0),
        (["get", "{origin}/reset"], 1),
        (["get", "--nonsense"], 2),
        (["get", "/"], 3),
        (["connect", "no-such-host.invalid"], 3),
        (["get", "--timeout", "100ms", "{origin}/hang"], 4),
        (["connect", "{tls}"], 5),
    ],
)
def test_the_exit_code_says_what_went_wrong_and_one_line_why(
    arguments: list[str], code: int, room: Room, server: PushServer, servers: Servers
) -> None:
    tls = servers("nghttpd").tls
    result = room.h2c(*(word.format(origin=server.origin, tls=tls) for word in arguments))

    assert result.code == code
    assert re.fullmatch(r"h2c: [^\n]+\n" if code else "", result.err)
    assert (b"usage: h2c" in result.out) is (arguments == ["--help"])


# Pushed responses.


def test_each_push_serves_once_and_keep_looks_without_using_it_up(
    room: Room, servers: Servers
) -> None:
    room.ok("get", f"{servers('nghttpd').clear}/page.html")

    assert "pushed on stream 2" in room.h2c("get", "-v", "--keep", "/style.css").err
    assert "requested on stream" in room.h2c("get", "-v", "--no-push-cache", "/style.css").err
    assert "pushed on stream 2" in room.h2c("get", "-v", "/style.css").err
    assert "requested on stream" in room.h2c("get", "-v", "/style.css").err


def test_a_push_answers_only_a_request_with_the_fields_that_vary_names(
    room: Room, server: PushServer
) -> None:
    vary = ((b"vary", b"accept-language"),)
    server.pages = {"/": Page(pushes=("/a",)), "/a": Page(b"a", fields=vary)}
    room.ok("get", f"{server.origin}/")

    assert "requested" in room.h2c("get", "-v", "-H", "accept-language: de", "/a").err
    assert "pushed" in room.h2c("get", "-v", "/a").err


def test_promises_that_http_forbids_are_refused_and_counted(room: Room) -> None:
    def promise(connection: Connection, stream_id: int, path: str) -> None:
        own = Origin.parse(frames.origin).authority.decode()
        connection.promise(stream_id, 2, ("POST", own, "/post"))
        connection.promise(stream_id, 4, ("GET", "elsewhere.example", "/foreign"))
        connection.promise(stream_id, 6, ("GET", own, "/with-content"), ("content-length", "5"))
        connection.promise(stream_id, 8, ("GET", own, "/good"))
        connection.answer(8, b"good")
        connection.answer(stream_id, path.encode())

    with frame_server() as frames:
        frames.on_request = promise
        assert room.ok("get", f"{frames.origin}/page") == "/page"

        assert room.ok("push-list") == "/good\n"
        assert room.ok("push-list", "-l").splitlines()[-1] == (
            "refused: 1 forbidden-field, 1 foreign-authority, 1 method"
        )
        assert room.ok("get", "/good") == "good"
        assert frames.connections[0].resets == {2: 1, 4: 1, 6: 1}  # PROTOCOL_ERROR


def test_no_more_pushes_are_kept_than_the_manual_says_and_the_newest_are(room: Room) -> None:
    def promise(connection: Connection, stream_id: int, path: str) -> None:
        own = Origin.parse(frames.origin).authority.decode()
        for number in range(1000):
            connection.promise(stream_id, 2 + 2 * number, ("GET", own, f"/{number}"))
            connection.answer(2 + 2 * number, b"%d" % number)
        connection.answer(stream_id, path.encode())

    with frame_server() as frames:
        frames.on_request = promise
        assert room.ok("get", f"{frames.origin}/page") == "/page"

        kept = room.ok("push-list").split()
        assert kept == [f"/{number}" for number in range(900, 1000)]
        assert room.ok("get", "/950") == "950"


def test_a_promise_for_somebody_else_is_refused_and_counted(room: Room, server: PushServer) -> None:
    server.pages = {"/": Page(pushes=("/a",)), "/a": Page()}
    server.promised_for = "somebody.test"
    room.ok("get", f"{server.origin}/")

    assert room.ok("push-list") == ""
    assert room.ok("push-list", "-l") == "refused: 1 foreign-authority\n"


def test_a_push_that_is_reset_falls_back_to_a_request(room: Room, servers: Servers) -> None:
    room.ok("get", f"{servers('node').clear}/broken-push")

    assert room.ok("get", "/broken.txt") == "whole"


# --follow-hints, load, completion (test_completion).


def test_what_a_103_names_waits_for_the_next_get(room: Room, servers: Servers) -> None:
    result = room.h2c("get", "--follow-hints", f"{servers('node').clear}/hinted.html")

    assert result.code == 0
    assert re.search(
        r"h2c: hinted: /style\.css: 200, 22 B in .*, waits for the next get\n", result.err
    )
    served = room.h2c("get", "-v", "/style.css")
    assert served.out == FILES["/style.css"]
    assert re.search("200, hinted and fetched on stream", served.err)


@pytest.mark.parametrize("name", ["nghttpd", "node", "nginx", "apache", "h2o"])
def test_a_page_is_loaded_and_what_was_pushed_is_not_asked_for(
    name: str, room: Room, pushing: Servers
) -> None:
    server = pushing(name)

    told = json.loads(
        room.ok("load", "--json", "--cacert", str(server.cafile), f"{server.tls}/page.html")
    )

    ways = {one["url"].removeprefix(server.tls): one["by"] for one in told["resources"]}
    assert ways == {"/page.html": "request", "/style.css": "push", "/script.js": "push"}
    assert all(one["start"] <= one["response"] <= one["end"] for one in told["resources"])


def test_a_load_fills_the_terminal_and_draws_a_picture(room: Room, servers: Servers) -> None:
    url = f"{servers('node').clear}/hinted.html"
    with on_terminal(room, "load", url, "--waterfall", "page.svg", columns=120) as terminal:
        assert terminal.end() == 0

    lines = re.sub(r"\x1b\[\d+m", "", terminal.seen).splitlines()
    assert max(map(len, lines)) == 120
    assert "\x1b[33m" in terminal.seen  # a hint
    assert lines[-1].startswith("3 resources, 133 B in ")
    assert lines[-1].endswith(": 1 requested, 2 hinted, 0 pushed")
    root = ElementTree.parse(room.folder / "page.svg").getroot()
    assert "/style.css" in "".join(root.itertext())


def test_a_narrow_terminal_and_a_pipe_get_a_load_that_fits(room: Room, servers: Servers) -> None:
    url = f"{servers('nghttpd').clear}/page.html"
    with on_terminal(room, "load", url, columns=50) as terminal:
        assert terminal.end() == 0
    piped = room.ok("load", url)

    assert (
        max(len(re.sub(r"\x1b\[\d+m", "", line)) for line in terminal.seen.splitlines()[:4]) <= 50
    )
    assert "\x1b" not in piped


# What must not break it.


def test_many_commands_at_once_get_each_what_is_theirs(room: Room, servers: Servers) -> None:
    room.ok("connect", servers("node").clear)
    commands = [room.begin("post", "--data", f"message {number}", "/echo") for number in range(20)]

    outputs = [command.communicate(timeout=PATIENCE) for command in commands]

    assert outputs == [(f"message {number}".encode(), b"") for number in range(20)]


def test_binary_content_is_for_a_terminal_only_if_that_is_said(
    room: Room, server: PushServer
) -> None:
    server.pages = {"/image": Page(b"PNG\0\0", "image/png")}
    room.ok("connect", server.origin)

    with on_terminal(room, "get", "/image") as terminal:
        assert terminal.end() == 1
    with on_terminal(room, "get", "-o", "-", "/image") as shown:
        assert shown.end() == 0

    assert terminal.seen == f"h2c: {exits.BINARY}\r\n"
    assert shown.seen == "PNG\0\0"
    assert room.ok("get", "/image") == "PNG\0\0"


def test_an_error_amid_content_begins_on_a_line_of_its_own_on_a_terminal(
    room: Room, server: PushServer
) -> None:
    room.ok("connect", server.origin)

    with on_terminal(room, "get", "/half") as terminal:
        assert terminal.end() == 1
    with on_terminal(room, "get", "--timeout", "2", "/stall") as stalled:
        assert stalled.end() == exits.TIMED_OUT
    piped = room.h2c("get", "/half")

    assert terminal.seen.startswith("half\r\nh2c: ")
    assert stalled.seen.startswith("some, \r\nh2c: ")
    assert piped.out == b"half"


def test_head_shows_status_and_fields_by_itself(room: Room, servers: Servers) -> None:
    room.ok("connect", servers("nghttpd").clear)

    assert room.ok("head", "/large.bin").startswith("HTTP/2 200\n")


def test_trust_that_is_given_with_a_path_counts(room: Room, server: PushServer) -> None:
    room.ok("connect", server.origin)

    result = room.h2c("get", "--insecure", "/x")

    assert result.code == 0
    assert "is not verified (--insecure)" in result.err


def test_ctrl_c_in_a_terminal_resets_the_stream_and_the_process_goes_on(
    room: Room, server: PushServer
) -> None:
    room.ok("connect", server.origin)
    pid = room.ok("pid")

    with on_terminal(room, "get", "--timeout", "60", "/hang") as terminal:
        wait_until(lambda: server.requests == ["GET /hang"])
        terminal.press("\x03")
        assert terminal.end() == -signal.SIGINT

    wait_until(lambda: server.resets == [8])
    assert room.ok("get", "/x") == "GET /x: "
    assert room.ok("pid") == pid


def test_ctrl_c_amid_a_load_resets_all_its_streams(room: Room, server: PushServer) -> None:
    html = b"<img src=/1><img src=/2>".ljust(1100)
    server.pages = {"/page": Page(html, unfinished=True)}
    server.pages |= {"/1": Page(unfinished=True), "/2": Page(unfinished=True)}

    with on_terminal(room, "load", "--timeout", "60", f"{server.origin}/page") as terminal:
        wait_until(lambda: len(server.requests) == 3)
        terminal.press("\x03")
        assert terminal.end() == -signal.SIGINT

    wait_until(lambda: server.resets == [8, 8, 8])
    assert room.ok("get", "/x") == "GET /x: "


def test_a_process_that_is_killed_amid_a_request_is_told_and_the_next_command_works(
    room: Room, server: PushServer
) -> None:
    room.ok("connect", server.origin)
    waiting = room.begin("get", "-o", "target", "/stall")
    wait_until(lambda: server.requests == ["GET /stall"])
    wait_until(lambda: bool(list(room.folder.glob("target*"))))

    os.kill(int(room.ok("pid")), 9)

    assert waiting.wait(PATIENCE) == 3
    assert waiting.stderr is not None
    assert b"went away; its log is" in waiting.stderr.read()
    assert list(room.folder.glob("target*")) == []
    assert room.ok("get", f"{server.origin}/x") == "GET /x: "


def test_a_full_disk_is_told_and_ends_the_stream(room: Room, servers: Servers) -> None:
    room.ok("connect", servers("nghttpd").clear)

    result = room.h2c("get", "-o", "/dev/full", "/large.bin")

    assert result.code == 1
    assert re.fullmatch(r"h2c: cannot write /dev/full: No space left[^\n]*\n", result.err)
    assert room.h2c("get", "/small.txt").out == FILES["/small.txt"]


def test_a_server_that_goes_away_amid_a_response_is_told_at_once(room: Room) -> None:
    with push_server() as server:
        room.ok("connect", server.origin)
        waiting = room.begin("get", "--timeout", "60", "/stall")
        wait_until(lambda: server.requests == ["GET /stall"])

    assert waiting.wait(PATIENCE) == 1
    assert waiting.stderr is not None
    assert re.fullmatch(rb"h2c: [^\n]+\n", waiting.stderr.read())
    assert "(lost: " in room.ok("connections")


def test_a_server_that_accepts_and_says_nothing_is_given_up_on(room: Room) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}/"
        result = room.h2c("load", "--timeout", "200ms", url)

    assert result.code == 4
    assert "within 0.2 s" in result.err
