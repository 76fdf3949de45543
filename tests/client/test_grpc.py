"""The client and `h2c` against servers of gRPC, which ask by PING while messages come."""

from __future__ import annotations

import asyncio
import struct
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from headstart import AsyncClient
from tests.clients import built
from tests.h2c.room import room

CALLS = 2000
HEADERS = [(b"content-type", b"application/grpc"), (b"te", b"trailers")]


def _echo(request: bytes, context: grpc.ServicerContext) -> bytes:
    return request


class _Echo(grpc.GenericRpcHandler):
    """Answers each call with what it was sent."""

    def service(
        self, details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        return grpc.unary_unary_rpc_method_handler(_echo)


@contextmanager
def _grpcio() -> Iterator[int]:
    """A server of grpcio's, which asks by PING how fast the link is while messages come (BDP)."""
    server = grpc.server(ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((_Echo(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield port
    server.stop(None).wait()


@contextmanager
def _process(command: list[str]) -> Iterator[int]:
    """A server of grpc-go's or grpc-java's, which ask so, too."""
    with subprocess.Popen([*command, "serve"], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield int(server.stdout.readline())
        finally:
            server.kill()


@pytest.fixture(params=["grpcio", "grpc-go", "grpc-java"])
def port(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[int]:
    """The port of each server."""
    match request.param:
        case "grpcio":
            server = _grpcio()
        case "grpc-go":
            server = _process([built.grpc_go(tmp_path)])
        case _:
            server = _process(built.grpc_java())
    with server as port:
        yield port


def message(content: bytes) -> bytes:
    """A message as gRPC frames it: not compressed, its length, the content."""
    return struct.pack(">BL", 0, len(content)) + content


@pytest.mark.parametrize("at_once", [1, 20])
@pytest.mark.parametrize("size", [50, 20_000])
async def test_calls_as_fast_as_the_client_makes_them_are_all_answered(
    port: int, size: int, at_once: int
) -> None:
    """One at once brings the most PINGs: there may be one on its way at a time."""
    sent = message(bytes(size))
    places = asyncio.Semaphore(at_once)
    statuses: set[tuple[int, str | None, bool]] = set()

    async with AsyncClient(f"http://127.0.0.1:{port}") as client:

        async def call() -> None:
            async with places:
                response = await client.post("/echo.Echo/Unary", content=sent, headers=HEADERS)
                same = await response.aread() == sent
                status = response.trailers.get("grpc-status")
                statuses.add((response.status_code, status, same))

        await asyncio.gather(*(call() for _ in range(CALLS)))

    assert statuses == {(200, "0", True)}


def test_conversation_of_the_command_goes_on_over_many_messages(
    tmp_path: Path,
) -> None:
    """Each message waits for the one before, so grpc-go asks by PING at each of them."""
    sent = message(bytes(50))
    with _process([built.grpc_go(tmp_path)]) as port, room(tmp_path) as terminal:
        fields = [f"{name.decode()}: {value.decode()}" for name, value in HEADERS]
        options = [part for field in fields for part in ("-H", field)]
        url = f"http://127.0.0.1:{port}/echo.Echo/Chat"
        command = terminal.begin("post", "--file", "-", *options, url, stdin=subprocess.PIPE)
        assert command.stdin is not None
        assert command.stdout is not None
        for _ in range(CALLS):
            command.stdin.write(sent)
            command.stdin.flush()

            assert command.stdout.read(len(sent)) == sent

        rest = command.communicate()

    assert (rest, command.wait()) == ((b"", b""), 0)
