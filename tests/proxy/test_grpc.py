"""gRPC through the proxy: a server of grpcio's answers a client of grpcio's, trailers and all."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
import pytest

from tests.proxy.test_processes import proxying

_CALLS = 200


def _echo(request: bytes, context: grpc.ServicerContext) -> bytes:
    context.set_trailing_metadata((("x-length", str(len(request))),))
    return request


def _refuse(request: bytes, context: grpc.ServicerContext) -> bytes:
    context.set_code(grpc.StatusCode.NOT_FOUND)
    context.set_details("there is none")
    return b""


def _count(request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
    for number in range(int(request)):
        yield str(number).encode()


class _Service(grpc.GenericRpcHandler):
    """Its methods go by their names."""

    def service(
        self, details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        match details.method:
            case "/test/echo":
                return grpc.unary_unary_rpc_method_handler(_echo)
            case "/test/refuse":
                return grpc.unary_unary_rpc_method_handler(_refuse)
            case "/test/count":
                return grpc.unary_stream_rpc_method_handler(_count)
            case _:
                return None


@contextmanager
def _proxied() -> Iterator[grpc.Channel]:
    """A channel through the proxy to a server."""
    server = grpc.server(ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((_Service(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with (
            proxying(f"h2c://127.0.0.1:{port}") as proxy,
            grpc.insecure_channel(f"127.0.0.1:{proxy.port}") as channel,
        ):
            yield channel
    finally:
        server.stop(None).wait()


def _method(channel: grpc.Channel, name: str) -> grpc.UnaryUnaryMultiCallable[bytes, bytes]:
    return channel.unary_unary(f"/test/{name}")


def test_calls_of_grpc_and_their_trailers_pass() -> None:
    with _proxied() as channel:
        echo = _method(channel, "echo")
        answers = [echo.with_call(b"x" * number) for number in range(_CALLS)]
        count: grpc.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream("/test/count")
        streamed = list(count(b"500"))

    for number, (answer, call) in enumerate(answers):
        assert answer == b"x" * number
        assert call.code() is grpc.StatusCode.OK
        assert ("x-length", str(number)) in call.trailing_metadata()
    assert streamed == [str(number).encode() for number in range(500)]


def test_refusals_of_grpc_and_their_words_pass() -> None:
    with _proxied() as channel:
        with pytest.raises(grpc.RpcError) as refused:
            _method(channel, "refuse")(b"x")
        with pytest.raises(grpc.RpcError) as unknown:
            _method(channel, "unknown")(b"x")

    assert (refused.value.code(), refused.value.details()) == (
        grpc.StatusCode.NOT_FOUND,
        "there is none",
    )
    assert unknown.value.code() is grpc.StatusCode.UNIMPLEMENTED
