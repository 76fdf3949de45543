"""The client without an event loop, against real servers."""

from __future__ import annotations

import gc
import inspect
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from hyperframe.frame import HeadersFrame

from headstart import AsyncClient, Client
from headstart.client.errors import ClientTimeoutError, ConnectError, HTTPStatusError, RequestError
from headstart.client.response import AsyncResponse, AsyncServerPush
from headstart.client.sync import Response, ServerPush
from headstart.errors import ConfigurationError, LocalProtocolError
from tests.h2c.frame_server import Connection, frame_server
from tests.ports import closed_port
from tests.servers.conftest import Servers
from tests.servers.site import FILES, PAGE, SCRIPT, STYLE


def test_requests_are_answered_without_an_event_loop(servers: Servers) -> None:
    server = servers("nghttpd")
    with Client(server.tls, cafile=server.cafile) as client:
        small = client.get("/small.txt")
        head = client.head("/small.txt")
        echo = client.post("/", (part for part in (b"one", b"two")), headers={"x": "y"})
        others = [client.put("/", b"put"), client.patch("/", b"patch"), client.delete("/none")]
        options = client.options("/small.txt")

    assert (small.status_code, small.content, small.text) == (
        200,
        FILES["/small.txt"],
        FILES["/small.txt"].decode(),
    )
    assert small.trailers.raw == [(b"checksum", b"1a2b")]
    assert (head.content, head.headers.get("content-length", "")) == (b"", str(len(small.content)))
    assert repr(head) == "<Response 200 to HEAD /small.txt>"
    assert echo.content == b"onetwo"
    assert others[0].content == b"put"
    assert [other.status_code for other in others] == [200, 404, 404]
    assert options.from_push is False
    assert options.stream_id % 2


def test_body_is_read_in_parts_and_left_early(servers: Servers) -> None:
    with Client(servers("node").clear) as client:
        with client.stream("GET", "/large.bin") as whole:
            parts = list(whole.iter_bytes())
        with client.stream("GET", "/large.bin") as left:
            first = next(iter(left.iter_bytes()))
        with client.stream("GET", "/octets.bin") as read:
            octets = read.read()

    assert len(parts) > 1
    assert b"".join(parts) == FILES["/large.bin"]
    assert FILES["/large.bin"].startswith(first)
    assert octets == FILES["/octets.bin"]


def test_pushes_and_103_come_as_to_the_other_client(servers: Servers) -> None:
    told: list[int] = []
    with (
        Client(servers("node").clear, push=True) as client,
        client.stream("GET", PAGE, informed=lambda status, _: told.append(status)) as page,
    ):
        page.read()
        pushes = {push.request.target: push for push in page.pushes}
        pushes[SCRIPT].reject()
        style = pushes[STYLE].response()
        content = style.read()
        script = client.get(SCRIPT)

    assert told == [status for _, status, _ in page.informational] == [103]
    assert repr(pushes[STYLE]) == f"<ServerPush GET {pushes[STYLE].request.url}>"
    assert pushes[STYLE].stream_id % 2 == 0
    assert (style.from_push, content) == (True, FILES[STYLE])
    assert (script.from_push, script.content) == (False, FILES[SCRIPT])


def test_threads_share_a_client(servers: Servers) -> None:
    with Client(servers("nginx").clear) as client, ThreadPoolExecutor(8) as pool:
        contents = list(pool.map(lambda _: client.get("/small.txt").content, range(40)))

    assert set(contents) == {FILES["/small.txt"]}


def test_errors_are_those_of_the_tree(servers: Servers) -> None:
    with Client() as client:
        with pytest.raises(ConfigurationError):
            client.get("/path")
        with closed_port() as port, pytest.raises(ConnectError):
            client.get(f"http://localhost:{port}/")
        with (
            pytest.raises(RequestError),
            client.stream("GET", servers("node").clear + "/reset") as broken,
        ):
            broken.read()


def test_error_in_the_content_reaches_the_caller(servers: Servers) -> None:
    def content() -> Iterator[bytes]:
        yield b"x"
        raise KeyError("mine")

    with Client(servers("node").clear) as client:
        with pytest.raises(KeyError, match="mine"):
            client.post("/echo", content())
        assert client.get("/small.txt").status_code == 200


def test_nothing_is_left_of_a_client_that_is_closed(servers: Servers) -> None:
    server, before = servers("node"), set(threading.enumerate())
    client = Client(server.clear)
    client.get("/small.txt")
    during = set(threading.enumerate()) - before

    client.close()
    client.close()

    assert len(during) == 1
    assert during.isdisjoint(threading.enumerate())
    with pytest.raises(LocalProtocolError, match="closed"):
        client.get("/small.txt")


_SAME_NAMES = {
    "aclose": "close",
    "aiter_bytes": "iter_bytes",
    "aiter_lines": "iter_lines",
    "aiter_text": "iter_text",
    "aread": "read",
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
}


def members(cls: type) -> dict[str, object]:
    """What users call or read, by the name that a class without an event loop has for it."""
    names = [name for name in dir(cls) if not name.startswith("_") or name in _SAME_NAMES]
    names += ["__init__"] if cls is AsyncClient else []
    return {_SAME_NAMES.get(name, name): inspect.getattr_static(cls, name) for name in names}


def parameters(member: object) -> list[tuple[str, object, object]]:
    assert callable(member)
    signature = inspect.signature(member)
    return [(one.name, one.kind, one.default) for one in signature.parameters.values()]


@pytest.mark.parametrize(
    ("one", "other"),
    [(AsyncClient, Client), (AsyncResponse, Response), (AsyncServerPush, ServerPush)],
)
def test_everything_is_there_that_the_other_client_has(one: type, other: type) -> None:
    with frame_server() as server, Client(server.origin) as client:
        server.on_request = lambda connection, stream_id, _: connection.answer(stream_id, b"ok")
        response = client.get("/")
    shown = {Response: set(dir(response)), ServerPush: {*dir(ServerPush), "request", "stream_id"}}

    for name, member in members(one).items():
        if inspect.isfunction(member):
            assert parameters(getattr(other, name)) == parameters(member), name
        else:
            assert name in shown.get(other, dir(other)), name


def test_response_may_be_closed_before_its_end() -> None:
    with frame_server() as server, Client(server.origin) as client:
        server.on_request = lambda connection, stream_id, _: connection.send(
            HeadersFrame(stream_id, connection.block(200), flags=["END_HEADERS"])
        )

        with client.stream("GET", "/") as page, page:
            assert page.times.responded is not None

        assert page.times.ended is None
        assert client.refused_promises == {}
        with pytest.raises(RequestError, match="cancelled"):
            page.read()


def test_client_that_was_not_closed_is_told_and_leaves_nothing() -> None:
    with frame_server() as server:
        server.on_request = lambda connection, stream_id, _: connection.answer(stream_id, b"ok")
        before = set(threading.enumerate())
        clients = [Client(server.origin)]
        clients[0].get("/")
        (thread,) = set(threading.enumerate()) - before - set(server.threads)

        with pytest.warns(ResourceWarning, match="a Client was not closed"):
            clients.clear()

        thread.join(90)
        assert not thread.is_alive()


def test_response_of_a_client_that_is_forgotten_keeps_it() -> None:
    with frame_server() as server:
        server.on_request = lambda connection, stream_id, _: connection.answer(stream_id, b"ok")
        client = Client(server.origin)
        response = client.get("/")
        close = client.close

        del client
        gc.collect()

        assert response.read() == b"ok"
        close()


def test_client_that_was_never_used_needs_no_thread() -> None:
    before = set(threading.enumerate())

    with Client("http://localhost"):
        assert before.issuperset(threading.enumerate())


def test_it_works_without_uvloop(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)

    with Client(servers("node").clear) as client:
        assert client.post("/echo", b"[1]").json() == [1]


def test_closing_fails_the_requests_of_other_threads() -> None:
    with frame_server() as server, ThreadPoolExecutor(2) as pool:
        asked = threading.Semaphore(0)
        server.on_request = lambda *_: asked.release()
        client = Client(server.origin, timeout=None)
        waiting = [pool.submit(client.get, "/") for _ in range(2)]
        for _ in waiting:
            assert asked.acquire(timeout=90)

        client.close()

        for one in waiting:
            with pytest.raises(RequestError):
                one.result(90)
    assert len(server.connections) == 1


def test_request_has_a_timeout_of_its_own() -> None:
    with frame_server() as server, Client(server.origin, timeout=None) as client:
        server.on_request = lambda *_: None

        with pytest.raises(ClientTimeoutError):
            client.get("/", timeout=0.05)
        with pytest.raises(ClientTimeoutError), client.stream("GET", "/", timeout=0.05):
            pass


def test_closing_ends_what_waits_for_a_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, ThreadPoolExecutor(1) as pool:
        client = Client(f"http://127.0.0.1:{silent.getsockname()[1]}", connect_timeout=None)
        waiting = pool.submit(client.get, "/")
        with silent.accept()[0]:
            client.close()

            with pytest.raises(RequestError, match="was closed"):
                waiting.result(90)


def test_client_does_not_wait_for_itself() -> None:
    def parts() -> Iterator[bytes]:
        with pytest.raises(LocalProtocolError, match="waits for the function"):
            client.get("/")
        with pytest.raises(LocalProtocolError, match="waits for the function"):
            client.close()
        yield b"content"

    with frame_server() as server, Client(server.origin) as client:
        server.on_request = lambda connection, stream_id, _: connection.answer(stream_id, b"ok")

        assert client.post("/", parts()).content == b"ok"


def test_fork_is_told_that_it_has_no_client() -> None:
    with frame_server() as server:
        program = f"""
import os
from headstart import HeadstartError, Client
client = Client({server.origin!r})
print(client.get("/").status_code, flush=True)
child = os.fork()
if not child:
    try:
        client.get("/")
    except HeadstartError as error:
        print(error, flush=True)
    client.close()
    os._exit(0)
os.waitpid(child, 0)
print(client.get("/").status_code)
client.close()
"""
        server.on_request = lambda connection, stream_id, _: connection.answer(stream_id, b"ok")

        ran = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", program],
            capture_output=True,
            text=True,
            timeout=90,
            check=True,
        )

    assert ran.stdout.splitlines() == [
        "200",
        "the client belongs to the process that this one was forked from",
        "200",
    ]


def test_status_lines_and_json_need_no_event_loop() -> None:
    asked: list[str] = []

    with frame_server() as server, Client(server.origin) as client:

        def respond(connection: Connection, stream_id: int, path: str) -> None:
            asked.append(path)
            connection.answer(stream_id, b"one\r\ntwo\n", 404 if len(asked) > 1 else 200)

        server.on_request = respond
        with client.stream("GET", "/", params={"a": 1}) as response:
            lines = list(response.raise_for_status().iter_lines())
        missing = client.get("/")
        with client.stream("GET", "/") as response:
            text = "".join(response.iter_text())

    assert asked == ["/?a=1", "/", "/"]
    assert lines == ["one", "two"]
    assert text == "one\r\ntwo\n"
    assert (missing.is_success, missing.is_error) == (False, True)
    with pytest.raises(HTTPStatusError) as caught:
        missing.raise_for_status()
    assert caught.value.response is missing
