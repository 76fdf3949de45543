"""The real `h2c` command, over pipes and in a pseudo-terminal."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from headstart import __version__
from headstart.h2c import command, exits
from tests.h2c.push_server import RECEIVED, PushServer, push_server
from tests.h2c.room import COMMAND, PATIENCE, Room, interrupt, wait_until
from tests.peers import peer
from tests.ports import free_port
from tests.warm import Piped


@pytest.fixture
def server() -> Iterator[PushServer]:
    with push_server() as running:
        yield running


@pytest.fixture
def authority(tmp_path: Path) -> trustme.CA:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    return ca


@pytest.fixture
def tls_server(authority: trustme.CA) -> Iterator[PushServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    context.set_alpn_protocols(["h2"])
    with push_server(context) as running:
        yield running


# The scenario.


def test_what_a_post_pushes_answers_the_next_get_and_nothing_is_sent(
    room: Room, server: PushServer
) -> None:
    room.ok("connect", server.origin)

    assert room.ok("post", "--data", "hello world", "/data") == ""
    assert room.ok("push-list") == "/data\n"
    assert room.ok("get", "/data") == "I received the following data: hello world"
    assert room.ok("push-list") == ""
    assert server.requests == ["POST /data"]

    assert room.ok("get", "/data") == "I received the following data: hello world"
    assert server.requests == ["POST /data", "GET /data"]


def test_verbose_says_where_the_answer_came_from(room: Room, server: PushServer) -> None:
    room.ok("connect", server.origin)
    room.ok("post", "--data", "x", "/data")

    assert room.h2c("get", "-v", "/data").err == "h2c: 200, pushed on stream 2\n"
    assert room.h2c("get", "-v", "/data").err == "h2c: 200, requested on stream 3\n"


def test_a_push_that_was_reset_falls_back_to_a_request(room: Room, server: PushServer) -> None:
    room.ok("connect", server.origin)
    room.ok("post", "/broken-push")

    assert room.ok("get", "/broken") == "GET /broken: "
    assert server.requests == ["POST /broken-push", "GET /broken"]


def test_a_push_can_be_looked_at_or_passed_by(room: Room, server: PushServer) -> None:
    room.ok("connect", server.origin)
    room.ok("post", "--data", "x", "/data")

    assert room.ok("get", "--keep", "/data") == "I received the following data: x"
    assert room.ok("get", "--no-push-cache", "/data") == "I received the following data: x"
    assert server.requests == ["POST /data", "GET /data"]
    assert room.ok("push-list") == "/data\n"


def test_the_dump_shows_the_push_and_nothing_for_the_request_it_serves(
    room: Room, server: PushServer
) -> None:
    foreground = room.start("--dump", "--exclude", "SETTINGS,WINDOW_UPDATE")
    room.ok("connect", server.origin)
    room.ok("post", "--data", "hello world", "/data")
    room.ok("get", "/data")

    assert interrupt(foreground) == 0
    assert foreground.stdout is not None
    dump = foreground.stdout.read().decode()
    titles = [line.split(" ")[:2] for line in dump.splitlines() if re.match("-> |<- ", line)]
    assert titles[0] == ["->", "PREFACE"]
    assert sorted({(arrow, title) for arrow, title in titles[1:]}) == [
        ("->", "DATA(1)"),
        ("->", "GOAWAY(0)"),
        ("->", "HEADERS(1)"),
        ("<-", "DATA(1)"),
        ("<-", "DATA(2)"),
        ("<-", "HEADERS(1)"),
        ("<-", "HEADERS(2)"),
        ("<-", "PUSH_PROMISE(1)"),
    ]
    assert "\x1b" not in dump


# The background process.


def test_version_starts_nothing(room: Room) -> None:
    assert room.ok("version") == f"h2c {__version__}\n"
    assert room.ok("--version") == f"h2c {__version__}\n"
    assert not room.private.exists()


@pytest.mark.parametrize("verb", ["pid", "stop"])
def test_pid_and_stop_start_nothing(verb: str, room: Room) -> None:
    result = room.h2c(verb)

    assert (result.code, result.out) == (3, b"")
    assert result.err.startswith("h2c: no background process is running; 'h2c start'")


def test_any_other_command_starts_it_detached_and_stop_ends_it(
    room: Room, server: PushServer
) -> None:
    room.is_users = True
    room.ok("connect", server.origin)

    pid = int(room.ok("pid"))
    assert os.getsid(pid) == pid
    assert Path(f"/proc/{pid}/cwd").resolve() == Path("/")
    assert room.ok("stop") == ""
    assert sorted(path.name for path in room.private.iterdir()) == ["default.lock", "default.log"]
    wait_until(lambda: server.goaways == [0])
    assert room.h2c("pid").code == 3


def test_ctrl_c_ends_the_foreground_with_goaway_and_without_a_socket(
    room: Room, server: PushServer
) -> None:
    foreground = room.start()
    room.ok("connect", server.origin)

    assert interrupt(foreground) == 0

    assert foreground.stderr is not None
    assert foreground.stderr.read() == b""
    wait_until(lambda: server.goaways == [0])
    assert not (room.private / "default.sock").exists()


def test_a_second_one_is_told_that_there_is_a_first(room: Room) -> None:
    foreground = room.start()

    for arguments in (["start"], ["start", "--detach"]):
        result = room.h2c(*arguments)
        assert result.code == 1
        assert f"running already (pid {foreground.pid}); 'h2c stop' ends it" in result.err


def test_after_a_kill_the_next_command_starts_another(room: Room, server: PushServer) -> None:
    foreground = room.start()
    foreground.kill()
    foreground.wait(PATIENCE)
    assert (room.private / "default.sock").exists()

    room.ok("connect", server.origin)

    assert int(room.ok("pid")) != foreground.pid


def test_commands_that_start_at_once_share_one_background_process(
    room: Room, server: PushServer
) -> None:
    commands = [room.begin("get", f"{server.origin}/{number}") for number in range(3)]

    outputs = [command.communicate(timeout=PATIENCE) for command in commands]

    assert outputs == [(f"GET /{number}: ".encode(), b"") for number in range(3)]
    assert len(list(room.private.glob("*.sock"))) == 1


def test_sessions_have_a_background_process_each(room: Room, server: PushServer) -> None:
    room.ok("--session", "one", "connect", server.origin)
    room.ok("--session=two", "connect", server.origin)

    assert room.ok("--session", "one", "pid") != room.ok("--session", "two", "pid")
    assert room.h2c("--session", "../x", "pid").err.startswith("h2c: a session is named by")


def test_without_use_it_ends_by_itself(room: Room) -> None:
    room.ok("start", "--detach", "--idle-timeout", "0.1")

    wait_until(lambda: not (room.private / "default.sock").exists())


def test_a_connection_keeps_it_alive(room: Room, server: PushServer) -> None:
    seconds, started, connected = 0.1, "", ""
    # It may have ended, or end just now, before this comes.
    while not started or started != connected:
        room.h2c("stop")
        seconds *= 2
        room.ok("start", "--detach", "--idle-timeout", f"{seconds:g}")
        started = room.h2c("pid").text
        room.h2c("connect", server.origin)
        connected = room.h2c("pid").text
    time.sleep(2 * seconds)

    assert room.ok("pid") == started
    assert room.ok("get", "/x") == "GET /x: "


def test_one_that_cannot_start_says_why_in_one_line(room: Room) -> None:
    room.is_users = True
    room.private.mkdir(mode=0o700)
    (room.private / "default.sock").mkdir()

    result = room.h2c("connect", "localhost:1")

    assert result.code == 3
    assert re.fullmatch(r"h2c: [^\n]+ did not start: .*; its log is .*\n", result.err)


def test_a_private_folder_that_is_not_private_is_refused(room: Room) -> None:
    room.private.mkdir()
    room.private.chmod(0o755)

    result = room.h2c("get", "/")

    assert (result.code, result.err) == (
        3,
        f"h2c: {room.private} may be entered by others; run: chmod 700 {room.private}\n",
    )


# Connections.


def test_connect_says_what_was_agreed_on(
    room: Room, server: PushServer, tls_server: PushServer
) -> None:
    assert room.ok("connect", server.origin) == (
        f"connected to {server.origin} at 127.0.0.1:{server.port}: h2c by prior knowledge, no TLS\n"
    )
    host = f"127.0.0.1:{tls_server.port}"
    assert room.ok("connect", "--cacert", "ca.pem", host) == (
        f"connected to https://{host} at {host}: h2, TLSv1.3\n"
    )
    assert "MAX_FRAME_SIZE: 16384\n" in room.ok("connect", "-v", server.origin)


def test_connections_are_listed_and_the_last_one_is_current(room: Room, server: PushServer) -> None:
    with push_server() as other:
        room.ok("connect", server.origin)
        room.ok("connect", other.origin)

        assert room.ok("connections") == f"  {server.origin}\n* {other.origin}\n"
        room.ok("get", "/x")
        assert (server.requests, other.requests) == ([], ["GET /x"])
        assert room.h2c("disconnect").err == f"h2c: {server.origin} is the current connection now\n"
        wait_until(lambda: other.goaways == [0])
        room.ok("get", "/y")
        assert server.requests == ["GET /y"]


def test_disconnect_leaves_nothing_to_ask(room: Room, server: PushServer) -> None:
    room.ok("connect", server.origin)
    room.ok("disconnect")

    for arguments in (["get", "/"], ["push-list"], ["disconnect"], ["ping"], ["stream-info"]):
        result = room.h2c(*arguments)
        assert (result.code, result.err) == (
            3,
            "h2c: not connected; run 'h2c connect HOST:PORT', or give a full URL\n",
        )


def test_a_lost_connection_is_made_again(room: Room, server: PushServer) -> None:
    room.ok("connect", server.origin)
    assert room.h2c("get", "/close").code == 1

    assert "(lost: " in room.ok("connections")
    assert room.ok("get", "/x") == "GET /x: "


def test_a_push_outlives_its_connection(room: Room, server: PushServer) -> None:
    room.ok("connect", server.origin)
    room.ok("post", "--data", "x", "/data")
    room.h2c("get", "/close")

    assert room.h2c("get", "-v", "/data").err == "h2c: 200, pushed on stream 2\n"


def test_a_push_outlives_the_next_connection_too_until_there_is_a_newer_one(
    room: Room, server: PushServer
) -> None:
    room.ok("connect", server.origin)
    room.ok("post", "--data", "x", "/data")
    room.h2c("get", "/close")
    room.ok("get", "/other")

    assert room.ok("push-list") == "/data\n"
    looked = room.h2c("get", "-v", "--keep", "/data")
    assert (looked.err, looked.out) == ("h2c: 200, pushed on stream 2\n", RECEIVED + b"x")
    room.ok("post", "--data", "y", "/data")
    assert room.ok("push-list") == "/data\n"
    assert room.h2c("get", "/data").out == RECEIVED + b"y"
    assert room.ok("push-list") == ""


def test_a_certificate_that_nobody_vouches_for_is_refused(
    room: Room, tls_server: PushServer
) -> None:
    result = room.h2c("connect", tls_server.origin)

    assert result.code == 5
    assert result.err.count("\n") == 1
    assert "is not trusted: " in result.err
    assert "--cacert FILE" in result.err


def test_insecure_is_said_each_time(room: Room, tls_server: PushServer) -> None:
    warning = f"h2c: warning: the certificate of {tls_server.origin} is not verified (--insecure)\n"

    assert room.h2c("connect", "--insecure", tls_server.origin).err == warning
    assert room.h2c("get", "/x").err == warning
    assert "(not verified)" in room.ok("connections")
    assert room.h2c("connect", tls_server.origin).code == 5


def test_a_full_url_connects_by_itself(room: Room, tls_server: PushServer) -> None:
    assert room.ok("get", "--cacert", "ca.pem", f"{tls_server.origin}/x") == "GET /x: "
    assert room.ok("get", "/y") == "GET /y: "


@pytest.mark.parametrize(
    ("host", "code"),
    [
        ("127.0.0.1:{free}", 3),
        ("http://127.0.0.1:{free}", 3),
        ("a:b", 2),
        ("ftp://a", 2),
        ("[::1", 2),
    ],
)
def test_hosts_that_do_not_answer_or_are_none_are_told_in_one_line(
    host: str, code: int, room: Room
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        result = room.h2c("connect", host.format(free=unused.getsockname()[1]))

    assert (result.code, result.out) == (code, b"")
    assert re.fullmatch(r"h2c: [^\n]+\n", result.err)


def test_a_server_that_does_not_speak_http2_is_told(room: Room, authority: trustme.CA) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with push_server(context) as without_alpn:
        result = room.h2c("connect", "--cacert", "ca.pem", without_alpn.origin)

    assert result.code == 3
    assert re.fullmatch(r"h2c: [^\n]*HTTP/2[^\n]*\n", result.err)


def test_a_host_that_is_silent_is_given_up_on(room: Room) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        origin = f"http://127.0.0.1:{silent.getsockname()[1]}"
        result = room.h2c("connect", "--timeout", "0.2", origin)

    assert result.code == 4
    assert "within 0.2 s" in result.err


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as unused:
            unused.bind(("::1", 0))
    except OSError:
        return False
    return True


def test_an_ipv6_literal_is_in_brackets(room: Room) -> None:
    nghttpd = peer("nghttpd")
    if not has_ipv6():
        pytest.skip("no IPv6 here")
    port = free_port()
    program = [nghttpd, "--no-tls", "--address=::1", "--htdocs", str(room.folder), str(port)]
    with subprocess.Popen(program, stdout=subprocess.DEVNULL) as running:
        try:
            wait_until(lambda: room.h2c("connect", f"http://[::1]:{port}").code == 0)
            assert f"at [::1]:{port}: " in room.ok("connect", f"http://[::1]:{port}")
        finally:
            running.terminate()


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_localhost_is_reached_at_the_one_address_that_answers(address: str, room: Room) -> None:
    if address == "::1" and not has_ipv6():
        pytest.skip("no IPv6 here")
    with push_server(host=address) as server:
        where = f"[{address}]" if ":" in address else address

        said = room.ok("connect", f"http://localhost:{server.port}")

        assert f" at {where}:{server.port}: " in said
        assert room.ok("get", "/x") == "GET /x: "


def test_the_round_trip_is_measured(room: Room, server: PushServer) -> None:
    room.ok("connect", server.origin)

    assert re.fullmatch(r"\d+\.\d{3} ms\n", room.ok("ping"))


def test_a_background_process_of_another_version_says_so(
    room: Room, server: PushServer, tmp_path: Path
) -> None:
    room.ok("connect", server.origin)
    script = (
        "import sys; from headstart.h2c import command; command.__version__ = '9.9'; "
        "sys.exit(command.main())"
    )

    def newer(verb: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", script, verb],
            env=room.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    refused = newer("push-list")
    assert refused.returncode == 3
    assert refused.stderr == (
        f"h2c: the background process is version {__version__}, this command is version 9.9; "
        "run 'h2c stop', then try again\n"
    )
    assert newer("pid").returncode == 0
    assert newer("stop").returncode == 0


# Requests.


def test_a_background_process_that_is_stopped_is_told_with_what_wakes_it(room: Room) -> None:
    pid = room.start().pid

    os.kill(pid, signal.SIGSTOP)
    try:
        result = room.h2c("connections")
    finally:
        os.kill(pid, signal.SIGCONT)

    assert result.code == exits.TIMED_OUT
    assert result.err == f"h2c: {exits.NO_ANSWER.format(pid)}\n"
    assert int(room.ok("pid")) == pid


def test_three_megabytes_are_exact_both_ways(room: Room, server: PushServer) -> None:
    content = os.urandom(3_000_000)
    room.ok("connect", server.origin)

    result = room.h2c("post", "--file", "-", "/echo", stdin=content)

    assert (result.code, result.err) == (0, "")
    assert result.out == content


def test_three_megabytes_are_exact_with_nghttpd_and_files(room: Room) -> None:
    nghttpd = peer("nghttpd")
    content = os.urandom(3_000_000)
    (room.folder / "source").write_bytes(content)
    port = free_port()
    program = [nghttpd, "--no-tls", "--echo-upload", "--htdocs", str(room.folder), str(port)]
    with subprocess.Popen(program, stdout=subprocess.DEVNULL) as running:
        try:
            origin = f"http://127.0.0.1:{port}"
            wait_until(lambda: room.h2c("connect", origin).code == 0)
            room.ok("post", "--file", "source", "-o", "echoed", "/")
            room.ok("get", "-o", "fetched", "/source")
        finally:
            running.terminate()

    assert (room.folder / "echoed").read_bytes() == content
    assert (room.folder / "fetched").read_bytes() == content


def test_no_newline_is_added(room: Room, server: PushServer) -> None:
    room.ok("connect", server.origin)

    assert room.ok("post", "--data", "no newline", "/x") == "POST /x: no newline"
    assert room.h2c("post", "--data", b"\xff\xfe", "/x").out == b"POST /x: \xff\xfe"


def test_a_path_without_a_slash_gets_one(room: Room, server: PushServer) -> None:
    room.ok("connect", server.origin)

    assert room.ok("get", "x?y=z") == "GET /x?y=z: "


@pytest.mark.parametrize("verb", ["get", "head", "delete", "patch", "put", "options", "post"])
def test_every_method_is_sent(verb: str, room: Room, server: PushServer) -> None:
    room.ok("get", f"{server.origin}/")

    room.ok(verb, "/x")
    room.ok("request", "MKCOL", "/y")

    assert server.requests == ["GET /", f"{verb.upper()} /x", "MKCOL /y"]


def test_fields_are_sent_and_the_nearest_one_counts(room: Room, server: PushServer) -> None:
    room.ok("connect", server.origin)
    room.ok("set", "X-Kept", "set")
    room.ok("set", "user-agent", "set")
    assert room.ok("set") == "x-kept: set\nuser-agent: set\n"

    room.ok("post", "--content-type", "a/b", "-H", "User-Agent: typed", "--data", "x", "/x")
    assert server.fields["content-type"] == "a/b"
    assert server.fields["user-agent"] == "typed"
    assert server.fields["x-kept"] == "set"

    nothing = room.h2c("unset", "x-kept", "another value")
    assert (nothing.code, nothing.out) == (0, b"")
    assert nothing.err == "h2c: x-kept: another value was not set; 'h2c set' lists what is\n"
    room.ok("unset", "user-agent")
    room.ok("get", "/x")
    assert server.fields["user-agent"] == f"h2c/{__version__}"
    assert server.fields["x-kept"] == "set"


def test_what_http_forbids_is_not_sent(room: Room, server: PushServer) -> None:
    room.ok("connect", server.origin)

    for field in ("connection: close", "a field: x", "name: \x01"):
        result = room.h2c("get", "-H", field, "/x")

        assert result.code == 2
        assert re.fullmatch(r"h2c: [^\n]+\n", result.err)
    assert server.requests == []


def test_include_shows_fields_and_what_came_before(room: Room, server: PushServer) -> None:
    room.ok("connect", server.origin)

    assert room.ok("get", "--include", "/hints") == (
        "HTTP/2 103\nlink: </a.css>; rel=preload; as=style\n\n"
        "HTTP/2 200\ncontent-type: text/plain\n\nhinted"
    )


def test_a_status_is_no_error_unless_asked_for(room: Room, server: PushServer) -> None:
    room.ok("connect", server.origin)

    assert room.ok("get", "/status/404") == "as you wish\n"
    result = room.h2c("get", "--fail", "/status/404")
    assert (result.code, result.out) == (1, b"")
    assert result.err.startswith("h2c: the server answered 404;")
    assert room.ok("get", "--fail", "/status/399") == "as you wish\n"


@pytest.mark.parametrize("path", ["/reset", "/half", "/close"])
def test_a_response_that_breaks_off_fails_and_leaves_no_file(
    path: str, room: Room, server: PushServer
) -> None:
    room.ok("connect", server.origin)

    result = room.h2c("get", "-o", "file", path)

    assert result.code == 1
    assert re.fullmatch(r"h2c: [^\n]+\n", result.err)
    assert list(room.folder.glob("file*")) == []


@pytest.mark.parametrize("path", ["/hang", "/stall"])
def test_a_server_that_says_nothing_more_is_given_up_on(
    path: str, room: Room, server: PushServer
) -> None:
    room.ok("connect", server.origin)

    result = room.h2c("get", "--timeout", "0.3", path)

    assert result.code == 4
    assert result.err == "h2c: nothing moved for 0.3 s; --timeout TIME waits longer\n"
    wait_until(lambda: server.resets == [8])  # CANCEL


def test_a_person_who_types_slowly_is_waited_for(room: Room, server: PushServer) -> None:
    room.ok("connect", server.origin)
    process = room.begin("post", "--timeout", "6", "--file", "-", "/x", stdin=subprocess.PIPE)
    time.sleep(6.5)

    assert process.communicate(b"typed", PATIENCE) == (b"POST /x: typed", b"")


def test_ctrl_c_resets_the_stream_and_harms_nothing_else(room: Room, server: PushServer) -> None:
    room.ok("connect", server.origin)
    process = room.begin("get", "--timeout", "60", "/hang")
    wait_until(lambda: server.requests == ["GET /hang"])

    assert interrupt(process) == -signal.SIGINT  # which shells call 130

    assert process.stderr is not None
    assert process.stderr.read() == b""
    wait_until(lambda: server.resets == [8])
    assert room.ok("get", "/x") == "GET /x: "


@pytest.mark.parametrize("source", ["source", "-"])
def test_an_upload_that_is_answered_early_keeps_its_answer(
    source: str, room: Room, server: PushServer
) -> None:
    content = os.urandom(3_000_000)
    (room.folder / "source").write_bytes(content)
    room.ok("connect", server.origin)

    for _ in range(8):
        assert room.ok("post", "--file", source, "/early", stdin=content) == "too large\n"


def test_an_early_answer_does_not_wait_for_a_person_who_types(
    room: Room, server: PushServer
) -> None:
    room.ok("connect", server.origin)
    process = room.begin("post", "--file", "-", "/early", stdin=subprocess.PIPE)

    assert process.wait(PATIENCE) == 0
    assert process.communicate() == (b"too large\n", b"")


def test_two_commands_at_once_do_not_wait_for_each_other(room: Room, server: PushServer) -> None:
    room.ok("connect", server.origin)
    slow = room.begin("get", "--timeout", "60", "/hang")
    wait_until(lambda: server.requests == ["GET /hang"])

    assert room.ok("get", "/x") == "GET /x: "
    assert room.ok("stream-info").startswith("1: GET /hang half-closed (local)\n")

    room.ok("stop")
    assert slow.wait(PATIENCE) == 3
    assert slow.stderr is not None
    assert b"is ending; run the command again" in slow.stderr.read()


def test_a_reader_that_went_away_is_no_news(room: Room, server: PushServer) -> None:
    room.ok("connect", server.origin)
    reader, writer = os.pipe()
    os.close(reader)
    process = room.begin("get", "/x", stdout=writer)
    os.close(writer)

    assert process.wait(PATIENCE) == 141
    assert process.stderr is not None
    assert process.stderr.read() == b""
    assert room.ok("get", "/x") == "GET /x: "


def test_a_dump_that_nobody_reads_ends_the_process(room: Room, server: PushServer) -> None:
    foreground = room.start("--dump")
    assert foreground.stdout is not None
    foreground.stdout.close()

    result = room.h2c("connect", server.origin)

    assert (result.code, result.err) == (3, f"h2c: {exits.DUMP_UNREAD}\n")
    assert foreground.wait(PATIENCE) == 141
    assert foreground.stderr is not None
    assert foreground.stderr.read() == b""
    foreground.stdout = None


def test_a_dump_that_cannot_be_written_ends_the_process(room: Room, server: PushServer) -> None:
    with open("/dev/full", "wb") as full:
        foreground = room.begin("start", "--dump", stdout=full.fileno())
    assert foreground.stderr is not None
    assert b"ready" in foreground.stderr.readline()

    result = room.h2c("connect", server.origin)

    assert (result.code, result.err) == (3, f"h2c: {exits.DUMP_UNWRITABLE}\n")
    assert foreground.wait(PATIENCE) == 1
    assert foreground.stderr.read().startswith(b"h2c: cannot write standard output: No space left")


@pytest.mark.parametrize("arguments", [["--help"], ["version"], ["help", "get"]])
def test_help_that_cannot_be_written_is_told_in_one_line(arguments: list[str], room: Room) -> None:
    with open("/dev/full", "wb") as full:
        process = room.begin(*arguments, stdout=full.fileno())

    assert process.wait(PATIENCE) == 1
    assert process.stderr is not None
    assert re.fullmatch(rb"h2c: cannot write standard output: [^\n]+\n", process.stderr.read())


def test_a_file_that_cannot_be_used_is_told_before_anything_is_sent(
    room: Room, server: PushServer
) -> None:
    room.ok("connect", server.origin)

    for arguments in (["--file", "none", "/x"], ["-o", "none/file", "/x"], ["--file", ".", "/x"]):
        result = room.h2c("post", *arguments)
        assert result.code == 1
        assert re.fullmatch(r"h2c: cannot (read|write) [^\n]+\n", result.err)
    assert server.requests == []


def test_streams_that_ended_are_listed_when_asked_for(room: Room, server: PushServer) -> None:
    room.ok("connect", server.origin)
    room.ok("post", "--data", "x", "/data")

    lines = room.ok("stream-info", "--closed").splitlines()
    assert lines == [
        "1: POST /data closed",
        "2: GET /data closed (cached push promise)",
    ]


def test_pushes_are_listed_with_all_that_is_known(room: Room, server: PushServer) -> None:
    room.ok("connect", server.origin)
    room.ok("post", "--data", "x", "/data")

    heading, row = room.ok("push-list", "-l").splitlines()
    assert heading.split() == [
        *("STREAM", "PARENT", "STATUS", "SIZE", "AGE"),
        *("STATE", "TYPE", "AUTHORITY", "PATH"),
    ]
    assert re.fullmatch(
        rf"2 +1 +200 +{len(RECEIVED) + 1} +\d+\.\d s +complete +text/plain +127\S+ +/data", row
    )
    assert '"state": "complete"' in room.ok("push-list", "--json")


# Help and mistakes.


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["get", "--help"], ["start", "-h"]])
def test_help_is_on_standard_output_and_starts_nothing(arguments: list[str], room: Room) -> None:
    assert room.ok(*arguments).startswith("usage: h2c")
    assert not room.private.exists()


@pytest.mark.parametrize(
    "arguments", [[], ["get"], ["fetch"], ["get", "/", "--nonsense"], ["stop", "x"]]
)
def test_mistakes_are_one_line_on_standard_error(arguments: list[str], room: Room) -> None:
    without = room.h2c(*arguments)
    assert not (room.private / "default.sock").exists()
    room.start()
    beside = room.h2c(*arguments)

    assert without == beside
    assert (without.code, without.out) == (2, b"")
    assert re.fullmatch(r"h2c: [^\n]+ 'h2c [^\n]*--help'[^\n]*\n", without.err)


@pytest.mark.parametrize("redirection", ["<&-", ">&-", "2>&-"])
def test_a_closed_standard_stream_is_as_the_null_device(
    redirection: str, room: Room, server: PushServer
) -> None:
    room.ok("connect", server.origin)
    shell = f'exec "$@" {redirection}'
    done = subprocess.run(
        ["sh", "-c", shell, "sh", *COMMAND, "post", "-v", "--file", "-", "/x"],
        input=b"x",
        env=room.environment,
        capture_output=True,
        timeout=PATIENCE,
        check=True,
    )

    content = b"" if redirection == "<&-" else b"x"
    assert server.requests == ["POST /x"]
    assert done.stdout == (b"" if redirection == ">&-" else b"POST /x: " + content)
    assert done.stderr == (b"" if redirection == "2>&-" else b"h2c: 200, requested on stream 1\n")


# In this process.


def test_the_command_returns_its_exit_code(
    room: Room, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(room.runtime))

    assert command.main(["stop"]) == exits.NOT_CONNECTED
    assert command.main(["--session", "../x", "pid"]) == exits.USAGE
    assert command.main(["pid", "--help"]) == exits.OK
    room.start()
    monkeypatch.setattr(sys, "argv", ["h2c", "connections"])
    assert command.main() == exits.OK
    assert command.main(["post", "/", "--data", "--help"]) == exits.NOT_CONNECTED
    assert capfd.readouterr().err.count("\n") == 3


@pytest.mark.parametrize(
    ("error", "code"),
    [(KeyboardInterrupt, exits.INTERRUPTED), (BrokenPipeError, exits.BROKEN_PIPE)],
)
def test_what_ends_a_command_from_outside_is_no_message(
    error: type[BaseException],
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def end(arguments: list[str]) -> int:
        raise error

    monkeypatch.setattr(command, "_run", end)

    assert command.main(["get", "/"]) == code
    assert capfd.readouterr() == ("", "")


def test_the_session_comes_before_the_command() -> None:
    assert command.split_session(["--session", "a", "get"]) == ("a", ["get"])
    assert command.split_session(["--session=a", "get"]) == ("a", ["get"])
    assert command.split_session(["--session"]) == ("", [])
    assert command.split_session([]) == ("default", [])


def test_or_behind_it_unless_it_is_a_value() -> None:
    assert command.split_session(["get", "--session=a"]) == ("a", ["get"])
    assert command.split_session(["--session=b", "get", "--session", "a"]) == ("a", ["get"])
    typed = ["post", "--data", "--session", "/"]
    assert command.split_session(typed) == ("default", typed)


@pytest.mark.parametrize(
    "arguments",
    [["--session", "a/b", "pid"], ["--session"], ["--session=", "pid"], ["pid", "--session"]],
)
def test_a_session_that_has_no_name_is_a_usage_error(arguments: list[str], room: Room) -> None:
    result = room.h2c(*arguments)

    assert (result.code, result.out) == (2, b"")
    assert result.err.startswith("h2c: a session is named by ")
    assert result.err.endswith("; write 'h2c --session NAME COMMAND'\n")


@pytest.mark.parametrize("verb", ["pid", "version"])
def test_the_command_imports_nothing_that_is_slow_to_import(verb: str, room: Room) -> None:
    foreground = room.start()
    script = (
        "import sys; before = set(sys.modules); from headstart.h2c import command; "
        f"command.main(['{verb}']); print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path[:] = {sys.path!r}; {script}"],
        env=room.environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )

    answer, modules = done.stdout.splitlines()
    assert answer in (str(foreground.pid), f"h2c {__version__}")
    others = [name for name in modules.split() if not name.startswith("headstart")]
    assert others == ["__future__", "_socket"]


# Terminals.


def on_a_terminal(room: Room, *arguments: str) -> tuple[Piped, int]:
    """A command whose standard streams are a terminal; the other side of it."""
    ours, theirs = pty.openpty()
    process = room.begin(*arguments, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    return process, ours


def read_until(terminal: int, end: bytes) -> bytes:
    seen = b""
    while end not in seen:
        assert select.select([terminal], [], [], PATIENCE)[0], seen
        seen += os.read(terminal, 65536)
    return seen


def test_the_dump_has_colour_on_a_terminal_only(room: Room, server: PushServer) -> None:
    foreground, terminal = on_a_terminal(room, "start", "--dump", "--include", "HEADERS")
    read_until(terminal, b"ready")
    room.ok("get", f"{server.origin}/x")

    shown = read_until(terminal, b"HEADERS(1)")
    assert b"\x1b[" in shown
    foreground.send_signal(signal.SIGINT)
    assert foreground.wait(PATIENCE) == 0
    os.close(terminal)


def test_fields_on_a_terminal_are_printable(room: Room, server: PushServer) -> None:
    room.ok("connect", server.origin)
    process, terminal = on_a_terminal(room, "get", "--include", "/x")

    assert b"HTTP/2 200\r\ncontent-type: text/plain\r\n\r\nGET /x: " in read_until(terminal, b"/x")
    assert process.wait(PATIENCE) == 0
    os.close(terminal)
