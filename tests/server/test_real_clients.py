"""The server and clients that others wrote, over real sockets: each gets what is pushed once."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.peers import peer
from tests.server.apps import PUSHED_BODY, pushing
from tests.server.live import LiveServer, certificate, running

CLIENTS = Path(__file__).parents[1] / "clients"
PATIENCE = 40
PAGE = "main /page 200 4"
STYLE = f"push /style.css 200 {len(PUSHED_BODY)}"


@pytest.fixture(scope="module")
def tls_server() -> Iterator[LiveServer]:
    with running(pushing, tls=True) as server:
        yield server


@pytest.fixture(scope="module")
def server() -> Iterator[LiveServer]:
    with running(pushing) as server:
        yield server


def run(*command: str) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=PATIENCE, check=False, cwd=CLIENTS
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def responses(*command: str) -> list[str]:
    """Lines `kind path status bytes` of the scripts in tests/clients, without the 103."""
    lines = run(*command).splitlines()
    return sorted(line for line in lines if not line.startswith("informational"))


# nghttp.


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_nghttp_takes_the_push(scheme: str, server: LiveServer, tls_server: LiveServer) -> None:
    peer("nghttp")
    url = (tls_server if scheme == "https" else server).url

    assert responses("sh", "nghttp_push.sh", f"{url}/page") == [PAGE, STYLE]


def test_nghttp_without_pushes_gets_none(tls_server: LiveServer) -> None:
    log = run(peer("nghttp"), "-nvy", "--no-push", f"{tls_server.url}/page")

    assert "PUSH_PROMISE" not in log
    assert ":status: 200" in log


# curl.


def curl(*arguments: str) -> str:
    made = certificate()
    return run(peer("curl"), "-sS", "--cacert", str(made.ca_certfile), "-D", "-", *arguments)


def test_curl_verifies_us_and_speaks_http2_and_sees_the_103(tls_server: LiveServer) -> None:
    said = curl("--http2", f"{tls_server.url}/page")

    head, final = said.split("\n\n", 1)
    assert head.splitlines()[0].strip() == "HTTP/2 103"
    assert "link: </style.css>; rel=preload; as=style" in head
    assert final.startswith("HTTP/2 200")
    assert final.endswith("\n\npage")


def test_curl_speaks_http2_by_prior_knowledge(server: LiveServer) -> None:
    said = curl("--http2-prior-knowledge", f"{server.url}/page")

    assert "HTTP/2 200" in said
    assert said.endswith("page")


@pytest.mark.parametrize("secure", [True, False], ids=["TLS", "cleartext"])
def test_curl_speaks_http_1_1_without_103(
    secure: bool, server: LiveServer, tls_server: LiveServer
) -> None:
    said = curl("--http1.1", f"{(tls_server if secure else server).url}/page")

    assert said.startswith("HTTP/1.1 200")
    assert said.endswith("page")


def test_curl_that_asks_for_an_upgrade_is_answered_in_http_1_1(server: LiveServer) -> None:
    said = curl("--http2", f"{server.url}/page")

    assert said.startswith("HTTP/1.1 200")


def test_curl_uploads(server: LiveServer, tmp_path: Path) -> None:
    (tmp_path / "upload").write_bytes(bytes(2_000_000))
    upload = f"@{tmp_path / 'upload'}"
    said = curl("--http2-prior-knowledge", "--data-binary", upload, f"{server.url}/page")

    assert said.endswith("2000000")


# Node.


def test_node_takes_the_push_once(tls_server: LiveServer) -> None:
    assert responses(peer("node"), "node_push_client.mjs", f"{tls_server.url}/page") == [
        PAGE,
        STYLE,
    ]


def test_node_sees_the_103(tls_server: LiveServer) -> None:
    said = run(peer("node"), "node_push_client.mjs", f"{tls_server.url}/page", "--no-push")

    assert "informational 103 link=</style.css>; rel=preload; as=style" in said


def test_node_without_pushes_gets_none(tls_server: LiveServer) -> None:
    command = (peer("node"), "node_push_client.mjs", f"{tls_server.url}/page", "--no-push")

    assert responses(*command) == [PAGE]


# Java.


def test_java_takes_the_push_once(tls_server: LiveServer) -> None:
    assert responses(peer("java"), "PushClient.java", f"{tls_server.url}/page") == [
        f"{PAGE} HTTP_2",
        STYLE,
    ]


# httpx.


def test_httpx_speaks_http2_and_verifies_us(tls_server: LiveServer) -> None:
    import ssl

    context = ssl.create_default_context(cafile=certificate().ca_certfile)
    with httpx.Client(http2=True, verify=context, trust_env=False) as client:
        answers = [client.get(f"{tls_server.url}/page") for _ in range(3)]

    assert [(a.http_version, a.status_code, a.text) for a in answers] == [
        ("HTTP/2", 200, "page")
    ] * 3
