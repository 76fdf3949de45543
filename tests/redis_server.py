"""A real redis-server for tests: on a Unix socket, and on a port where a relay or TLS needs one.

Keeps nothing on disk, so a restart is empty. It may be stopped, killed and started again.
"""

from __future__ import annotations

import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from tests.peers import peer
from tests.ports import free_port
from tests.server.live import PATIENCE, until


class RedisServer:
    """A redis-server.

    Attributes:
        url: For `--store`, without a password.
        client: Says anything to it.
    """

    def __init__(
        self, folder: Path, *options: str, port: int = 0, password: str = "", tls: bool = False
    ) -> None:
        socket = folder / "redis.sock"
        place = ["--port", "0", "--unixsocket", str(socket)]
        if port:
            place += ["--tls-port" if tls else "--port", str(port)]
        secret = ["--requirepass", password] if password else []
        quiet = ["--save", "", "--appendonly", "no", "--enable-debug-command", "yes"]
        folders = ["--dir", str(folder), "--bind", "127.0.0.1"]
        self._command = [peer("redis-server"), *quiet, *folders, *secret, *options, *place]
        self.url = f"redis://127.0.0.1:{port}/0" if port else f"unix://{socket}"
        self.port = port
        self.client = Redis(
            unix_socket_path=str(socket), password=password or None, socket_timeout=PATIENCE
        )
        self.start()

    def start(self) -> None:
        """Start it, with nothing in it, and wait until it answers."""
        self.process = subprocess.Popen(
            self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until(self._answers, "redis-server")

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.wait(PATIENCE)

    def stop(self) -> None:
        """Let it answer nothing any more, with all its connections open."""
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it answer again."""
        self.process.send_signal(signal.SIGCONT)

    def names(self) -> set[str]:
        """Return the names of all keys."""
        return {key.decode() for key in self.client.scan_iter()}

    def says(self, *command: str | int) -> Any:
        """Return its reply to any command."""
        client: Any = self.client
        return client.execute_command(*command)

    def info(self, section: str) -> dict[str, Any]:
        """Return a section of INFO."""
        found: dict[str, Any] = self.client.info(section)
        return found

    def close(self) -> None:
        """End it."""
        self.client.close()
        self.go_on()
        self.kill()

    def _answers(self) -> bool:
        assert self.process.poll() is None, "redis-server ended"
        try:
            return bool(self.client.ping())
        except RedisConnectionError:
            return False


@contextmanager
def redis_server(
    *options: str, tcp: bool = False, password: str = "", tls: bool = False
) -> Iterator[RedisServer]:
    """Run one, on a Unix socket; with `tcp` or `tls` on a port as well."""
    # The name of a Unix socket has at most 107 bytes; pytest's folders may have more.
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        port = free_port() if tcp or tls else 0
        server = RedisServer(Path(folder), *options, port=port, password=password, tls=tls)
        try:
            yield server
        finally:
            server.close()


@contextmanager
def redis_cluster() -> Iterator[tuple[RedisServer, RedisServer]]:
    """Run a cluster of two nodes, each of which has half of the slots."""
    with ExitStack() as stack:
        buses = [free_port(), free_port()]
        nodes = [
            stack.enter_context(
                redis_server("--cluster-enabled", "yes", "--cluster-port", str(bus), tcp=True)
            )
            for bus in buses
        ]
        for node, slots in zip(nodes, ((0, 8191), (8192, 16383)), strict=True):
            node.says("CLUSTER", "ADDSLOTSRANGE", *slots)
        nodes[0].says("CLUSTER", "MEET", "127.0.0.1", nodes[1].port, buses[1])
        until(lambda: all(map(_is_joined, nodes)), "the cluster")
        yield nodes[0], nodes[1]


def _is_joined(node: RedisServer) -> bool:
    state = node.says("CLUSTER INFO")
    return (state["cluster_state"], state["cluster_size"]) == ("ok", "2")
