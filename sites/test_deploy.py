"""nginx with PHP as docs/deploy.md configures it, behind `headstart proxy`."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from sites.php import STYLE, php
from sites.serving import served

_LEARN_SECONDS = 20.0
_NAVIGATION = {"sec-fetch-dest": "document", "sec-fetch-mode": "navigate", "accept": "text/html"}


@pytest.fixture(scope="module")
def visitor(
    tmp_path_factory: pytest.TempPathFactory, certificate: tuple[Path, Path]
) -> Iterator[httpx.Client]:
    """Start the site and the proxy."""
    folder = tmp_path_factory.mktemp("php")
    learning = ("--store", str(folder / "learned.sqlite3"), "--learn-control-share", "0")
    trusted = ssl.create_default_context(cafile=str(certificate[0]))
    with (
        php(folder) as upstream,
        served(["proxy", upstream], folder / "proxy", *certificate, *learning) as proxy,
        httpx.Client(
            base_url=f"https://localhost:{proxy.port}", http2=True, verify=trusted, timeout=60
        ) as client,
    ):
        yield client


def test_php_knows_what_its_client_asked_for(visitor: httpx.Client) -> None:
    told = visitor.get("/some/path", params={"a": "b"}).text

    assert "HTTPS: on\n" in told
    assert "HTTP_HOST: localhost" in told
    assert "REMOTE_ADDR: 127.0.0.1\n" in told
    assert "REQUEST_URI: /some/path?a=b\n" in told


def test_upload_reaches_php_whole(visitor: httpx.Client) -> None:
    told = visitor.post("/", content=bytes(3_000_000)).text

    assert "REQUEST_METHOD: POST\n" in told
    assert "content: 3000000\n" in told


def test_pages_are_compressed(visitor: httpx.Client) -> None:
    assert visitor.get("/").headers["content-encoding"] == "gzip"


def test_later_visitor_is_told_of_the_stylesheet(visitor: httpx.Client) -> None:
    first = visitor.get("/", headers=_NAVIGATION)
    asked = {"referer": str(first.url), "sec-fetch-dest": "style", "sec-fetch-mode": "no-cors"}
    visitor.get(STYLE, headers=asked)
    end = time.monotonic() + _LEARN_SECONDS
    # httpx passes no 103 on, and takes no push; over HTTP/1.1 the same comes as Link.
    with httpx.Client(base_url=visitor.base_url, verify=False, timeout=60) as later:
        while STYLE not in later.get("/", headers=_NAVIGATION).headers.get("link", ""):
            assert time.monotonic() < end
            time.sleep(0.5)

    assert STYLE not in first.headers.get("link", "")
