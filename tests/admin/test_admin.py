"""The admin port beside real servers: its addresses, its token, reload and --fd."""

from __future__ import annotations

import http.client
import os
import signal
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.admin.asked import address_in, administered, ask, says
from tests.cli.command import assert_one_line, headstart_says
from tests.ports import closed_port, free_port
from tests.server.live import PATIENCE, ServerProcess, serving, until

APP = "tests.server.apps:hello"
TOKEN = "a-token-of-some-length"


def test_site_does_not_serve_what_is_the_admin_ports() -> None:
    with administered(APP) as (server, _):
        assert ask(f"127.0.0.1:{server.port}", "/healthz").text == "/healthz over 1.1"


def test_port_of_the_site_is_refused_on_any_address() -> None:
    port = free_port()

    said = headstart_says("serve", APP, "--port", str(port), "--admin", f"127.0.0.2:{port}")

    assert_one_line(said, f"127.0.0.2:{port}", "the port of the site")


def test_taken_port_is_one_line() -> None:
    with closed_port() as port:
        assert_one_line(headstart_says("serve", APP, "--port", "0", "--admin", str(port)), "in use")


def test_port_that_others_reach_without_a_token_is_one_line() -> None:
    said = headstart_says("serve", APP, "--port", "0", "--admin", "0.0.0.0:0")

    assert_one_line(said, "has no token", "--admin-token-file")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_token_is_asked_for_and_never_logged_nor_in_the_command_line(
    workers: str, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    given = ("--admin", "0.0.0.0:0", "--admin-token-file", str(file), "--workers", workers)
    with serving(APP, *given) as server:
        address = address_in(server.log).replace("0.0.0.0", "127.0.0.1")
        until(lambda: says(address, "/readyz", 200, "ready\n"), "readiness")
        without = ask(address, "/other")
        wrong = ask(address, "/other", headers={"authorization": "Bearer wrong-wrong-wrong"})
        right = ask(address, "/other", headers={"authorization": f"Bearer {TOKEN}"})
        running = Path(f"/proc/{server.process.pid}/cmdline").read_bytes()
        server.terminate()
        server.wait()

    assert (without.status, wrong.status, right.status) == (401, 401, 404)
    assert TOKEN not in server.log
    assert TOKEN.encode() not in running


def test_name_that_leads_here_from_elsewhere_is_refused() -> None:
    with administered(APP, "--admin-host", "ops.lan") as (_, address):
        assert ask(address, "/healthz", headers={"host": "evil.example"}).status == 403
        assert ask(address, "/healthz", headers={"host": "ops.lan:9001"}).status == 200


def test_requests_to_the_admin_port_are_not_in_the_sites_access_log() -> None:
    with administered(APP) as (server, address):
        ask(address, "/healthz")
        ask(f"127.0.0.1:{server.port}", "/page")
        until(lambda: "/page" in server.log)
        assert "/healthz" not in server.log


def test_reload_keeps_the_admin_port_and_connects_the_new_process(tmp_path: Path) -> None:
    module = tmp_path / "reloaded_app.py"
    source = "from tests.server.apps import hello as app\n"
    module.write_text(source)
    with administered("reloaded_app:app", "--reload", folder=tmp_path) as (server, address):
        until(lambda: server.log.count("Started server process") == 1, "the first process")

        module.write_text(source + "changed = True\n")

        until(lambda: server.log.count("Started server process") == 2, "the reload")
        until(lambda: says(address, "/readyz", 200, "ready\n"), "readiness")


def test_server_on_an_inherited_socket_has_an_admin_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.set_inheritable(True)
        server = ServerProcess(
            *("serve", APP, "--fd", str(listener.fileno()), "--admin", "127.0.0.1:0"),
            pass_fds=[listener.fileno()],
        )
        try:
            until(lambda: "Application startup complete" in server.log)
            address = address_in(server.log)
            until(lambda: says(address, "/readyz", 200, "ready\n"), "readiness")
        finally:
            server.end()


def test_clients_that_stay_do_not_keep_the_server_from_its_end() -> None:
    with administered(APP) as (server, address):
        host, port = address.split(":")
        kept = http.client.HTTPConnection(host, int(port), timeout=PATIENCE)
        kept.request("GET", "/healthz")
        kept.getresponse().read()
        idle = socket.create_connection((host, int(port)), PATIENCE)
        server.process.send_signal(signal.SIGINT)
        server.wait()
        kept.close()
        idle.close()

    assert "Traceback" not in server.log


def test_server_whose_admin_port_has_no_descriptors_left_serves_its_site() -> None:
    """The admin port's clients are bounded, so they cannot take what the site needs."""
    with administered(APP) as (server, address):
        host, port = address.split(":")
        held = [socket.create_connection((host, int(port)), PATIENCE) for _ in range(80)]
        try:
            assert ask(f"127.0.0.1:{server.port}", "/page").status == 200
            folder = f"/proc/{server.process.pid}/fd"
            # Those that are too many are accepted and closed at once.
            until(lambda: len(os.listdir(folder)) < 64 + 40, "the end of those that are too many")
        finally:
            for one in held:
                one.close()


def test_one_address_leaves_connections_for_others() -> None:
    """Else whoever reaches the port could make an orchestrator restart the site."""
    with administered(APP) as (_, address), ExitStack() as held:
        host, port = address.split(":")
        taken = [
            held.enter_context(
                socket.create_connection((host, int(port)), PATIENCE, ("127.0.0.2", 0))
            )
            for _ in range(150)
        ]

        assert taken[-1].recv(1) == b""
        assert ask(address, "/healthz").text == "ok\n"


def test_options_without_the_port_are_told(tmp_path: Path) -> None:
    file = tmp_path / "token"
    for name, value in (("--admin-token-file", str(file)), ("--admin-host", "ops.lan")):
        said = headstart_says("serve", APP, "--port", "0", name, value)

        assert_one_line(said, f"{name} is given without --admin")
