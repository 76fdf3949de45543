"""The proxy as a process: large content in little memory, idle clients, and processes that die."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from tests.peers import peer
from tests.server.live import PATIENCE, ServerProcess, serving, until
from tests.server.test_frameworks import resident

MEBIBYTE = 1024 * 1024
# What passes through must not be held: MEMORY is the most that the process takes for it.
# Of an upload over HTTP/2 up to 4 MiB wait, its window, and are copied once.
SIZE = int(os.environ.get("PROXY_MEBIBYTES", "200"))
MEMORY = 20 * MEBIBYTE


@contextmanager
def proxying(*arguments: str) -> Iterator[ServerProcess]:
    """Run `headstart proxy` with a port that the system chooses."""
    proxy = ServerProcess("proxy", *arguments, "--port", "0", "--no-access-log", "--no-learn")
    try:
        proxy.wait_until_started()
        yield proxy
    finally:
        proxy.end()


@pytest.fixture(scope="module")
def site() -> Iterator[ServerProcess]:
    with serving("tests.proxy.sized_app:app", "--no-access-log", "--no-learn") as site:
        yield site


@pytest.fixture(scope="module")
def proxy(site: ServerProcess) -> Iterator[ServerProcess]:
    with proxying(f"http://127.0.0.1:{site.port}") as proxy:
        yield proxy


def curl(*arguments: str) -> bytes:
    """What curl writes."""
    command = [peer("curl"), "-sS", "--fail", *arguments]
    return subprocess.run(command, check=True, capture_output=True, timeout=300).stdout


@pytest.mark.parametrize("version", ["--http1.1", "--http2-prior-knowledge"])
def test_large_content_passes_both_ways_in_little_memory(
    proxy: ServerProcess, tmp_path: Path, version: str
) -> None:
    url = f"http://127.0.0.1:{proxy.port}"
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(SIZE * MEBIBYTE)

    before = resident(proxy.process.pid)
    down = curl(version, "-o", os.devnull, "-w", "%{size_download}", f"{url}/down/{SIZE}")
    up = curl(version, "-T", str(large), "-X", "POST", "-H", "Expect:", f"{url}/up")

    assert int(down) == int(up) == SIZE * MEBIBYTE
    most = resident(proxy.process.pid, "VmHWM")
    assert most - before < MEMORY


def test_client_that_reads_slowly_holds_little_and_nobody_else_up(proxy: ServerProcess) -> None:
    """20 clients ask for 50 MiB each, and each may hold 1 MiB.

    A client can hold 128 KiB in three places: in the upstream connection (64 KiB at which it stops
    to read, and one read of 64 KiB), in the chunk that is being sent, and in the server's write
    buffer. With the copies between them 0.5 MiB were measured. An event loop's own reads of 256 KB
    made that 1.15 MiB.
    """
    before = resident(proxy.process.pid)
    request = b"GET /down/50 HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with ExitStack() as slow:
        for _ in range(20):
            client = slow.enter_context(
                socket.create_connection(("127.0.0.1", proxy.port), PATIENCE)
            )
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.sendall(request)
            assert client.recv(100)
        with httpx.Client(timeout=PATIENCE) as other:
            assert other.get(f"http://127.0.0.1:{proxy.port}/").text == "page"
        held = resident(proxy.process.pid) - before

    assert held < 20 * MEBIBYTE  # of a gigabyte


def test_a_thousand_idle_clients_take_no_upstream_connections(site: ServerProcess) -> None:
    with (
        proxying(
            f"http://127.0.0.1:{site.port}", "--max-connections", "1100", "--idle-timeout", "300",
            "--timeout-keep-alive", "300",
        ) as proxy,
        ExitStack() as idle,
        httpx.Client(timeout=PATIENCE) as other,
    ):  # fmt: skip
        before = resident(proxy.process.pid)
        for _ in range(1000):
            client = idle.enter_context(
                socket.create_connection(("127.0.0.1", proxy.port), PATIENCE)
            )
            client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert read_until(client, b"page")

        assert other.get(f"http://127.0.0.1:{proxy.port}/").text == "page"
        assert len(established(proxy.process.pid, remote=site.port)) < 5
        assert resident(proxy.process.pid) - before < MEMORY + 1000 * 40 * 1024


def test_requests_go_on_when_one_of_two_upstreams_is_killed() -> None:
    app = "tests.proxy.sized_app:app"
    statuses: Counter[int] = Counter()
    cut_off: list[str] = []
    killed = threading.Event()

    def load(port: int) -> None:
        with httpx.Client(timeout=PATIENCE) as client:
            while sum(statuses.values()) < 200 or not killed.is_set():
                try:
                    statuses[client.get(f"http://127.0.0.1:{port}/").status_code] += 1
                except httpx.RemoteProtocolError as error:
                    # The head had gone out when the upstream died: nobody can make it whole.
                    cut_off.append(str(error))

    with serving(app) as one, serving(app) as other:
        upstreams = [f"http://127.0.0.1:{upstream.port}" for upstream in (one, other)]
        with proxying(*upstreams) as proxy:
            threads = [threading.Thread(target=load, args=[proxy.port]) for _ in range(4)]
            for thread in threads:
                thread.start()
            until(lambda: statuses[200] > 100)
            os.killpg(one.process.pid, signal.SIGKILL)
            killed.set()
            for thread in threads:
                thread.join(PATIENCE)

    assert set(statuses) == {200}, statuses
    assert len(cut_off) <= 4  # at most one of each client
    assert all("complete message body" in error for error in cut_off)


def test_worker_that_is_killed_takes_no_request_of_the_other_one_with_it(
    site: ServerProcess,
) -> None:
    with (
        proxying(f"http://127.0.0.1:{site.port}", "--workers", "2") as proxy,
        ExitStack() as stack,
    ):
        clients = [
            stack.enter_context(socket.create_connection(("127.0.0.1", proxy.port), PATIENCE))
            for _ in range(40)
        ]
        for client in clients:
            client.sendall(b"GET /down/8 HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert client.recv(1000).startswith(b"HTTP/1.1 200")
        holders = {pid: established(pid, local=proxy.port) for pid in workers(proxy)}
        victim = max(holders, key=lambda pid: len(holders[pid]))
        os.kill(victim, signal.SIGKILL)
        wholes = [received(client) for client in clients]
        answer = httpx.get(f"http://127.0.0.1:{proxy.port}/", timeout=PATIENCE)

    lost = wholes.count(False)
    assert 0 < lost <= len(holders[victim])
    assert wholes.count(True) >= sum(map(len, holders.values())) - len(holders[victim])
    assert answer.text == "page"


def read_until(client: socket.socket, end: bytes) -> bytes:
    """Read what ends with `end`; b"" if the connection ends first."""
    data = b""
    while not data.endswith(end):
        part = client.recv(4096)
        if not part:
            return b""
        data += part
    return data


def received(client: socket.socket) -> bool:
    """Whether 8 MiB come."""
    left = 8 * MEBIBYTE - 1000
    try:
        while left > 0 and (part := client.recv(MEBIBYTE)):
            left -= len(part)
    except ConnectionResetError:
        return False
    return left <= 0


def workers(server: ServerProcess) -> list[int]:
    """The processes that serve."""
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text()
    return [pid for pid in map(int, children.split()) if established_fds(pid)]


def established_fds(pid: int) -> set[str]:
    """The inodes of a process's sockets."""
    found: set[str] = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        target = os.readlink(entry) if entry.is_symlink() else ""
        if inode := re.fullmatch(r"socket:\[(\d+)\]", target):
            found.add(inode[1])
    return found


def established(pid: int, *, local: int = 0, remote: int = 0) -> set[str]:
    """The process's established TCP connections on a local port, or to a remote one."""
    sockets = established_fds(pid)
    found: set[str] = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        (
            _,
            here,
            there,
            state,
            *_,
        ) = line.split()
        ports = int(here.rpartition(":")[2], 16), int(there.rpartition(":")[2], 16)
        inode = line.split()[9]
        if state == "01" and inode in sockets and (local == ports[0] or remote == ports[1]):
            found.add(inode)
    return found
