"""httpx.AsyncClient over our connections, against the real server."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from headstart.config import ServerOptions, WireLimits
from headstart.httpx import AsyncTransport
from tests.httpx.app import LARGE
from tests.httpx.served import Site, plain_site, site, trusting
from tests.ports import closed_port
from tests.server.live import until


@pytest.fixture(scope="module")
def served() -> Iterator[Site]:
    with site() as made:
        yield made


def client(place: Site, **options: Any) -> httpx.AsyncClient:
    transport = AsyncTransport(verify=trusting(), **options)
    return httpx.AsyncClient(transport=transport, base_url=place.url, timeout=90)


async def test_response_says_that_it_came_over_http2(served: Site) -> None:
    async with client(served) as asking:
        response = await asking.get("/echo", params={"a": "1"})

    assert (response.status_code, response.http_version) == (200, "HTTP/2")
    assert response.json()["query"] == "a=1"
    assert response.headers["X-Seen"] == "yes"
    assert response.extensions["stream_id"] == 1
    assert response.elapsed.total_seconds() > 0


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_method_arrives(served: Site, method: str) -> None:
    async with client(served) as asking:
        response = await asking.request(method, "/echo")

    assert response.json()["method"] == method


async def test_head_has_headers_and_no_content(served: Site) -> None:
    async with client(served) as asking:
        response = await asking.head("/large")

    assert (response.headers["content-length"], response.content) == (str(len(LARGE)), b"")


async def test_requests_share_a_connection_and_have_streams_of_their_own(served: Site) -> None:
    async with client(served) as asking:
        responses = await asyncio.gather(*(asking.get("/echo") for _ in range(50)))
        later = await asking.get("/echo")
        streams = [one.extensions["network_stream"] for one in (*responses, later)]
        (address,) = {stream.get_extra_info("client_addr") for stream in streams}

    assert address is not None
    numbers = sorted(response.extensions["stream_id"] for response in responses)
    assert numbers == list(range(1, 100, 2))
    assert later.extensions["stream_id"] == 101


async def parts() -> AsyncIterator[bytes]:
    for _ in range(40):
        yield b"x" * 50_000


@pytest.mark.parametrize(
    ("content", "size"), [(b"", 0), (b"small", 5), (LARGE, len(LARGE)), (parts(), 2_000_000)]
)
async def test_content_arrives_whole(
    served: Site, content: bytes | AsyncIterator[bytes], size: int
) -> None:
    async with client(served) as asking:
        response = await asking.post("/echo", content=content)

    seen = response.json()
    names = [name for name, _ in seen["headers"]]
    assert seen["size"] == size
    assert names.count("content-length") == (0 if isinstance(content, AsyncIterator) else 1)
    assert not {"transfer-encoding", "connection", "keep-alive"} & set(names)


async def test_forms_files_and_json_are_httpxs(served: Site, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(LARGE)

    async with client(served) as asking:
        form = (await asking.post("/echo", data={"a": "1 2"})).json()
        json = (await asking.post("/echo", json={"a": 1})).json()
        with file.open("rb") as opened:
            files = (await asking.post("/echo", files={"f": opened})).json()

    assert form["text"] == "a=1+2"
    assert json["text"] == '{"a":1}'
    assert files["size"] > len(LARGE)
    assert dict(files["headers"])["content-type"].startswith("multipart/form-data")


async def test_redirects_cookies_auth_and_decoding_are_httpxs(served: Site) -> None:
    async with client(served) as asking:
        response = await asking.get("/redirect", follow_redirects=True, auth=("user", "pass"))
        compressed = await asking.get("/compressed")
        raw = [
            part
            async for part in (
                await asking.send(asking.build_request("GET", "/compressed"), stream=True)
            ).aiter_raw()
        ]

    sent = dict(response.json()["headers"])
    assert [one.status_code for one in response.history] == [307]
    assert sent["cookie"] == "seen=1"
    assert sent["authorization"].startswith("Basic ")
    assert compressed.text == "plain"
    assert b"".join(raw).startswith(b"\x1f\x8b")


async def test_headers_of_the_caller_are_sent_as_http2_has_them(served: Site) -> None:
    headers = [("X-Two", "1"), ("X-Two", "2"), ("Host", "other.test"), ("Upgrade", "websocket")]

    async with client(served) as asking:
        response = await asking.get("/echo", headers=headers)

    sent = response.json()["headers"]
    assert [value for name, value in sent if name == "x-two"] == ["1", "2"]
    assert dict(sent)["host"] == "other.test"
    assert "upgrade" not in dict(sent)


async def test_large_response_is_read_in_parts(served: Site) -> None:
    async with client(served) as asking, asking.stream("GET", "/large") as response:
        read = [part async for part in response.aiter_bytes()]

    assert len(read) > 1
    assert b"".join(read) == LARGE


async def test_lines_come_while_the_response_goes_on(served: Site) -> None:
    with site() as own:
        async with client(own) as asking, asking.stream("GET", "/events") as response:
            lines = response.aiter_lines()
            first = await anext(lines)
            own.app.state.gate.open()
            others = [line async for line in lines]

    assert (first, others) == ("data: 1", ["", "data: 2", ""])


async def test_stream_that_is_left_is_reset_and_the_connection_goes_on(served: Site) -> None:
    async with client(served) as asking:
        async with asking.stream("GET", "/large") as left:
            await anext(left.aiter_raw())
            address = left.extensions["network_stream"].get_extra_info("client_addr")
        response = await asking.get("/echo")
        again = response.extensions["network_stream"].get_extra_info("client_addr")

    assert response.status_code == 200
    assert address is not None
    assert again == address


async def test_cancelled_request_is_reset_at_the_server() -> None:
    with site() as own:
        async with client(own) as asking:
            task = asyncio.create_task(asking.get("/left"))
            await asyncio.to_thread(until, lambda: own.app.state.waiting)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.to_thread(until, lambda: not own.app.state.waiting)

            assert (await asking.get("/echo")).status_code == 200


async def test_response_that_does_not_come_is_a_read_timeout() -> None:
    with site() as own:
        async with client(own) as asking:
            with pytest.raises(httpx.ReadTimeout, match="no answer to GET /silent") as caught:
                await asking.get("/silent", timeout=httpx.Timeout(20, read=0.05))

    assert caught.value.request.url.path == "/silent"


async def test_body_that_stops_is_a_read_timeout() -> None:
    with site() as own:
        async with (
            client(own) as asking,
            asking.stream("GET", "/events", timeout=httpx.Timeout(20, read=0.1)) as response,
        ):
            with pytest.raises(httpx.ReadTimeout):
                await response.aread()


async def test_content_that_nobody_takes_is_a_write_timeout() -> None:
    with site() as own:
        async with client(own) as asking:
            # The longer one of both counts until the response begins.
            times = httpx.Timeout(20, read=1, write=0.1)
            with pytest.raises(httpx.WriteTimeout):
                await asking.post("/deaf", content=parts(), timeout=times)


async def test_stream_that_is_not_free_is_a_pool_timeout() -> None:
    with site(ServerOptions(limits=WireLimits(max_concurrent_streams=1))) as own:
        async with client(own) as asking:
            first = asyncio.create_task(asking.get("/silent"))
            await asyncio.to_thread(until, lambda: own.app.state.waiting)
            with pytest.raises(httpx.PoolTimeout):
                await asking.get("/echo", timeout=httpx.Timeout(20, pool=0.05))
            own.app.state.gate.open()

            assert (await first).text == "late"


async def test_connection_that_is_not_free_is_a_pool_timeout() -> None:
    with site() as own, site() as other:
        transport = AsyncTransport(verify=trusting(), limits=httpx.Limits(max_connections=1))
        async with httpx.AsyncClient(transport=transport, timeout=90) as asking:
            first = asyncio.create_task(asking.get(f"{own.url}/silent"))
            await asyncio.to_thread(until, lambda: own.app.state.waiting)
            with pytest.raises(httpx.PoolTimeout):
                await asking.get(f"{other.url}/echo", timeout=httpx.Timeout(20, pool=0.05))
            waiting = asyncio.create_task(asking.get(f"{other.url}/echo"))
            own.app.state.gate.open()

            assert (await first).text == "late"
            assert (await waiting).status_code == 200


async def test_host_that_cannot_be_reached_is_a_connect_error() -> None:
    async with httpx.AsyncClient(transport=AsyncTransport(verify=trusting())) as asking:
        with closed_port() as port, pytest.raises(httpx.ConnectError) as caught:
            await asking.get(f"https://127.0.0.1:{port}/")

    assert caught.value.__notes__


async def test_certificate_that_is_not_trusted_is_a_connect_error(served: Site) -> None:
    transport = AsyncTransport(verify=ssl.create_default_context())
    async with httpx.AsyncClient(transport=transport) as asking:
        with pytest.raises(httpx.ConnectError, match="certificate"):
            await asking.get(served.url)


async def test_verification_can_be_switched_off(served: Site) -> None:
    async with httpx.AsyncClient(transport=AsyncTransport(verify=False)) as asking:
        response = await asking.get(f"{served.url}/echo")

    assert response.http_version == "HTTP/2"


async def test_response_that_breaks_off_is_a_protocol_error(served: Site) -> None:
    async with client(served) as asking:
        with pytest.raises(httpx.RemoteProtocolError):
            await asking.get("/failing")

        assert (await asking.get("/empty")).content == b""


async def test_other_scheme_is_refused() -> None:
    async with httpx.AsyncClient(transport=AsyncTransport()) as asking:
        with pytest.raises(httpx.UnsupportedProtocol):
            await asking.get("ftp://localhost/")


@pytest.mark.parametrize("url", ["/page", "http//localhost/"])
async def test_url_without_a_scheme_is_refused_with_advice(url: str) -> None:
    async with httpx.AsyncClient(transport=AsyncTransport()) as asking:
        with pytest.raises(httpx.UnsupportedProtocol, match="does not begin with") as caught:
            await asking.get(url)

    assert "base_url" in caught.value.__notes__[0]


@pytest.mark.parametrize("tls", [True, False])
async def test_server_without_http2_is_asked_over_http1(tls: bool) -> None:
    with plain_site(tls=tls) as own:
        async with client(own) as asking:
            responses = [await asking.post("/echo", content=parts()) for _ in range(2)]

    assert [response.http_version for response in responses] == ["HTTP/1.1"] * 2
    assert [response.json()["size"] for response in responses] == [2_000_000, 2_000_000]


async def test_server_without_http2_is_an_error_if_only_http2_is_wanted() -> None:
    with plain_site(tls=True) as own:
        async with client(own, http1=False) as asking:
            with pytest.raises(httpx.ConnectError, match="HTTP/2"):
                await asking.get("/echo")


async def test_cleartext_is_http2_by_prior_knowledge_without_http1() -> None:
    with site(tls=False) as own:
        async with client(own, http1=False) as asking:
            response = await asking.get("/echo")

    assert response.http_version == "HTTP/2"
    assert response.extensions["network_stream"].get_extra_info("ssl_object") is None


async def test_pushed_response_answers_the_next_request(served: Site) -> None:
    async with client(served, push=True) as asking:
        page = await asking.get("/")
        style = await asking.get("/style.css")
        again = await asking.get("/style.css")

    assert [one.extensions["from_push"] for one in (page, style, again)] == [False, True, False]
    assert style.text == again.text == "body {}"


async def test_network_stream_knows_the_connection(served: Site) -> None:
    async with client(served) as asking:
        stream = (await asking.get("/echo")).extensions["network_stream"]
        tls = stream.get_extra_info("ssl_object")

        assert stream.get_extra_info("server_addr") == ("127.0.0.1", served.live.port)
        assert tls.selected_alpn_protocol() == "h2"
        assert stream.get_extra_info("is_readable") is None


async def test_trace_is_told_of_each_step(served: Site) -> None:
    told: list[str] = []

    async def trace(name: str, details: dict[str, object]) -> None:
        told.append(name)
        if name == "http2.receive_response_headers.complete":
            assert details["return_value"]

    async with client(served) as asking:
        await asking.get("/echo", extensions={"trace": trace})
        first = list(told)
        told.clear()
        await asking.get("/echo", extensions={"trace": trace})

    assert first[:9] == [
        "connection.connect_tcp.started",
        "connection.connect_tcp.complete",
        "connection.start_tls.started",
        "connection.start_tls.complete",
        "http2.send_connection_init.started",
        "http2.send_connection_init.complete",
        "http2.send_request_headers.started",
        "http2.send_request_headers.complete",
        "http2.send_request_body.started",
    ]
    assert not any("connect" in name for name in told)
    assert told[2:] == [
        "http2.send_request_body.started",
        "http2.send_request_body.complete",
        "http2.receive_response_headers.started",
        "http2.receive_response_headers.complete",
        "http2.receive_response_body.started",
        "http2.receive_response_body.complete",
        "http2.response_closed.started",
        "http2.response_closed.complete",
    ]


async def test_trace_is_told_of_a_failure() -> None:
    told: list[str] = []

    async def trace(name: str, details: dict[str, object]) -> None:
        told.append(f"{name} {type(details.get('exception')).__name__}")

    async with httpx.AsyncClient(transport=AsyncTransport()) as asking:
        with closed_port() as port, pytest.raises(httpx.ConnectError):
            await asking.get(f"https://127.0.0.1:{port}/", extensions={"trace": trace})

    assert told == [
        "connection.connect_tcp.started NoneType",
        "connection.connect_tcp.failed ConnectError",
    ]


async def test_trace_tells_of_tls_that_fails(served: Site) -> None:
    told: list[tuple[str, object]] = []

    async def trace(name: str, details: dict[str, object]) -> None:
        told.append((name, details.get("server_hostname")))

    transport = AsyncTransport(verify=ssl.create_default_context())
    async with httpx.AsyncClient(transport=transport) as asking:
        with pytest.raises(httpx.ConnectError, match="certificate"):
            await asking.get(served.url, extensions={"trace": trace})

    assert told == [
        ("connection.connect_tcp.started", None),
        ("connection.connect_tcp.complete", None),
        ("connection.start_tls.started", "localhost"),
        ("connection.start_tls.failed", None),
    ]


async def test_trace_has_the_steps_of_both_protocols_where_http2_is_not_to_be_had() -> None:
    told: list[str] = []

    async def trace(name: str, details: dict[str, object]) -> None:
        del details
        told.append(name)

    with plain_site(tls=True) as own:
        async with client(own) as asking:
            response = await asking.get("/echo", extensions={"trace": trace})

    assert response.http_version == "HTTP/1.1"
    assert told[4:6] == ["http2.send_connection_init.started", "http2.send_connection_init.failed"]
    assert told[6] == "connection.connect_tcp.started"
    assert "http11.receive_response_headers.complete" in told


async def test_cleartext_has_no_step_of_tls() -> None:
    told: list[str] = []

    async def trace(name: str, details: dict[str, object]) -> None:
        del details
        told.append(name)

    with site(tls=False) as own:
        async with client(own, http1=False) as asking:
            await asking.get("/echo", extensions={"trace": trace})

    assert told[:4] == [
        "connection.connect_tcp.started",
        "connection.connect_tcp.complete",
        "http2.send_connection_init.started",
        "http2.send_connection_init.complete",
    ]


async def test_tls_asks_for_the_name_of_the_extension(served: Site) -> None:
    url = f"https://127.0.0.1:{served.live.port}/echo"
    context = trusting()
    context.check_hostname = True

    async with httpx.AsyncClient(transport=AsyncTransport(verify=context), timeout=90) as asking:
        with pytest.raises(httpx.ConnectError, match="certificate"):
            await asking.get(url, extensions={"sni_hostname": "other.test"})
        response = await asking.get(url, extensions={"sni_hostname": "localhost"})

    tls = response.extensions["network_stream"].get_extra_info("ssl_object")
    assert response.http_version == "HTTP/2"
    assert tls.server_hostname == "localhost"


async def test_target_of_the_extension_is_asked_for(served: Site) -> None:
    async with client(served) as asking:
        response = await asking.get("/empty", extensions={"target": b"/echo?a=%zz"})

    assert response.json()["query"] == "a=%25zz"
