"""Content without Content-Length: gathered in memory and in a file, told to the application."""

from __future__ import annotations

import asyncio
import logging
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

import httpx
import pytest

from headstart.config import ServerOptions
from headstart.wsgi.gathering import Gatherer, GathererFull
from headstart.wsgi.outbox import Message
from tests.peers import peer
from tests.server.live import PATIENCE, ServerProcess, running, serving
from tests.server.raw import RawClient
from tests.wsgi.asking import VERSIONS, asked

CURL_VERSIONS = ["--http1.1", "--http2-prior-knowledge"]


class Incoming:
    """An ASGI `receive` that gives these parts, then what comes at the end."""

    def __init__(self, parts: Iterable[bytes], end: str = "complete") -> None:
        self._messages = self._made(list(parts), end)

    async def _made(self, parts: list[bytes], end: str) -> AsyncIterator[Message]:
        for number, part in enumerate(parts, 1):
            more = number < len(parts) or end != "complete"
            yield {"type": "http.request", "body": part, "more_body": more}
        if end == "waits":
            await asyncio.Event().wait()
        yield {"type": "http.disconnect"}

    async def __call__(self) -> Message:
        return await anext(self._messages)


def told(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Answer with CONTENT_LENGTH, how much came, and whether a transfer coding is told."""
    start_response("200 OK", [])
    length = environ.get("CONTENT_LENGTH")
    coding = environ.get("HTTP_TRANSFER_ENCODING")
    return [f"{length} {len(environ['wsgi.input'].read())} {coding}".encode()]


# Clients that others wrote.


@pytest.fixture(scope="module")
def django() -> Iterator[ServerProcess]:
    with serving("tests.wsgi.django_app:app", "--interface", "wsgi", "--no-learn") as server:
        yield server


@pytest.mark.parametrize("version", CURL_VERSIONS)
@pytest.mark.parametrize("size", [1, 65_536, 65_537, 3_000_000])
def test_django_gets_what_curl_uploads_from_a_pipe(
    size: int, version: str, django: ServerProcess
) -> None:
    done = subprocess.run(
        [
            *(peer("curl"), "-sS", "--noproxy", "*", "-m", str(PATIENCE), version),
            *("-X", "POST", "-T", "-", f"http://127.0.0.1:{django.port}/upload"),
        ],
        input=bytes(size),
        capture_output=True,
        check=True,
    )

    assert done.stdout == b"%d" % size


@pytest.mark.parametrize("http2", [False, True])
def test_django_gets_a_form_that_httpx_sends_in_parts(http2: bool, django: ServerProcess) -> None:
    def parts() -> Iterator[bytes]:
        yield b"name=va"
        yield b"lue&other=1"

    headers = {"content-type": "application/x-www-form-urlencoded"}
    with httpx.Client(
        http1=not http2, http2=http2, timeout=PATIENCE, headers=headers, trust_env=False
    ) as client:
        response = client.post(f"http://127.0.0.1:{django.port}/form", content=parts())

    assert (response.status_code, response.text) == (200, "value")


# The environ.


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("size", [2, 100_000])
def test_length_is_told_and_no_transfer_coding(version: str, size: int) -> None:
    assert asked(told, version, method="POST", body=bytes(size)).body == b"%d %d None" % (
        size,
        size,
    )


@pytest.mark.parametrize("version", VERSIONS)
def test_request_without_content_has_no_length(version: str) -> None:
    assert asked(told, version, method="POST").body == b"None 0 None"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("size", [0, 30_001, 2_000_000])
def test_length_that_the_client_says_is_left_alone(version: str, size: int) -> None:
    options = ServerOptions(wsgi_gather=20_000)
    headers = [("Content-Length", str(size))] if version == "2" else []
    body = bytes(size) if version == "2" else None

    answer = asked(told, version, method="POST", headers=headers, body=body, options=options)

    assert answer.body == (b"%d %d None" % (size, size) if version == "2" else b"None 0 None")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("limit", [0, 100_000])
def test_larger_content_comes_whole_without_a_length(
    version: str, limit: int, caplog: pytest.LogCaptureFixture
) -> None:
    options = ServerOptions(wsgi_gather=limit)

    answer = asked(told, version, method="POST", body=bytes(300_000), options=options)

    coding = b"chunked" if version == "1.1" else b"None"
    assert answer.body == b"None 300000 " + coding
    assert ("--wsgi-gather" in caplog.text) is (limit > 0)


def test_warning_of_larger_content_is_written_once(caplog: pytest.LogCaptureFixture) -> None:
    options = ServerOptions(wsgi_gather=10)
    with (
        caplog.at_level(logging.WARNING, "headstart.wsgi"),
        running(told, options, interface="wsgi") as server,
        RawClient(server.port) as client,
    ):
        for _ in range(3):
            stream_id = client.request(method=b"POST", end_stream=False)
            client.send_data(stream_id, bytes(100))
            client.settle()
            client.send_data(stream_id, b"", end_stream=True)
            assert client.response(stream_id).body == b"None 100 None"

    assert caplog.text.count("--wsgi-gather") == 1


def test_application_is_not_called_before_all_is_there_nor_for_a_client_that_leaves() -> None:
    called: list[str] = []

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        called.append(environ["PATH_INFO"])
        start_response("200 OK", [])
        return [environ["wsgi.input"].read()]

    with running(app, interface="wsgi") as server, RawClient(server.port) as client:
        first = client.request(b"/first", method=b"POST", end_stream=False)
        client.send_data(first, b"not ")
        with RawClient(server.port) as other:
            other.send_data(other.request(b"/gone", method=b"POST", end_stream=False), b"lost")
            other.settle()
        with socket.create_connection(("127.0.0.1", server.port)) as plain:
            head = b"POST /gone HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
            plain.sendall(head + b"4\r\nlost\r\n")
        assert client.get(b"/second").body == b""
        client.send_data(first, b"all", end_stream=True)

        assert client.response(first).body == b"not all"

    assert called == ["/second", "/first"]


def test_content_that_finds_no_room_is_refused_and_the_next_is_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    options = ServerOptions(wsgi_gather=1000)
    with (
        running(told, options, interface="wsgi") as server,
        RawClient(server.port) as client,
    ):
        waiting = []
        for _ in range(16):
            waiting.append(client.request(method=b"POST", end_stream=False))
            client.send_data(waiting[-1], bytes(1000))
        client.settle()
        refused = client.response(client.request(method=b"POST", body=b"1"))
        for stream_id in waiting:
            client.send_data(stream_id, b"", end_stream=True)
        lengths = {client.response(stream_id).body for stream_id in waiting}
        later = client.response(client.request(method=b"POST", body=b"1"))

    assert (refused.status, dict(refused.headers)[b"retry-after"]) == (503, b"5")
    assert lengths == {b"1000 1000 None"}
    assert later.body == b"1 1 None"
    assert "Answered 503" in caplog.text


# One gatherer.


@pytest.mark.parametrize("parts", [[b""], [b"a"], [b"a", b"", b"bc"], [bytes(70_000), b"end"]])
async def test_content_is_kept_in_order(parts: list[bytes]) -> None:
    gatherer = Gatherer(100_000)

    gathered = await gatherer.gather(Incoming(parts))

    assert gathered is not None
    assert gathered.complete
    assert (gathered.file.read(), gathered.size) == (b"".join(parts), len(b"".join(parts)))
    gatherer.release(gathered)


@pytest.mark.parametrize(("last", "complete"), [(5, True), (6, False)])
async def test_no_more_is_received_than_the_limit_and_one_part(last: int, complete: bool) -> None:
    gatherer = Gatherer(10)
    incoming = Incoming([bytes(5), bytes(last), b"never"][: 2 if complete else 3])

    gathered = await gatherer.gather(incoming)

    assert gathered is not None
    assert (gathered.complete, gathered.size) == (complete, 5 + last)
    if not complete:
        assert (await incoming())["body"] == b"never"
    gatherer.release(gathered)


async def test_room_is_given_back_however_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    gatherer = Gatherer(10)

    for _ in range(40):
        assert await gatherer.gather(Incoming([bytes(8)], "leaves")) is None
        gathering = asyncio.ensure_future(gatherer.gather(Incoming([bytes(8)], "waits")))
        await asyncio.sleep(0)
        gathering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gathering
        complete = await gatherer.gather(Incoming([bytes(8)]))
        assert complete is not None
        gatherer.release(complete)

    kept = [await gatherer.gather(Incoming([bytes(10)])) for _ in range(16)]
    with pytest.raises(GathererFull):
        await gatherer.gather(Incoming([b"1"]))
    for one in kept:
        assert one is not None
        gatherer.release(one)


async def test_full_disk_is_an_error_and_no_short_content(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)

    with pytest.raises(OSError, match="No space left"):
        await Gatherer(100_000).gather(Incoming([bytes(70_000)]))


async def test_call_that_is_given_up_reads_no_short_content() -> None:
    from headstart.wsgi.body import RequestBody
    from headstart.wsgi.outbox import ClientLeft

    gatherer = Gatherer(100)
    gathered = await gatherer.gather(Incoming([b"credit: 1", b"00"]))
    body = RequestBody(asyncio.get_running_loop(), Incoming([]), lambda: None, gathered)

    assert await asyncio.to_thread(body.read, 9) == b"credit: 1"
    body.stop()
    with pytest.raises(ClientLeft):
        await asyncio.to_thread(body.read, 9)
    assert gathered is not None
    gatherer.release(gathered)


@pytest.mark.parametrize(
    ("limit", "headers", "wanted"),
    [
        (1, [], True),
        (0, [], False),
        (1, [(b"content-length", b"0")], False),
        (1, [(b"host", b"h"), (b"content-length", b"5")], False),
        (1, [(b"transfer-encoding", b"chunked")], True),
    ],
)
def test_content_is_wanted_where_it_has_no_length(
    limit: int, headers: list[tuple[bytes, bytes]], wanted: bool
) -> None:
    assert Gatherer(limit).wants(headers) is wanted
