"""The environ of a request."""

from __future__ import annotations

import io
from typing import Any

import pytest

from headstart.wsgi.environ import FileBlocks, make_environ
from tests.wsgi.asking import VERSIONS, asked


def environ_of(*headers: tuple[bytes, bytes], **scope: Any) -> dict[str, Any]:
    given = {"type": "http", "method": "GET", "path": "/", "http_version": "2", "headers": headers}
    return make_environ({**given, **scope}, io.BytesIO(), multiprocess=False)


@pytest.mark.parametrize("version", VERSIONS)
def test_environ_says_what_the_request_says(version: str) -> None:
    seen: dict[str, Any] = {}

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        seen.update(environ)
        start_response("200 OK", [])
        return []

    headers = [("X-Own", "caf\xe9"), ("Content-Type", "text/plain"), ("Content-Length", "0")]
    asked(app, version, "/r/a%2Fb%20%FF?x=%31&y", method="POST", headers=headers, root_path="/r")

    # uvicorn puts the root path before every path.
    assert seen["SCRIPT_NAME"] == "/r"
    assert seen["PATH_INFO"] == "/r/a/b \xff"
    assert seen["QUERY_STRING"] == "x=%31&y"
    assert seen["REQUEST_URI"] == seen["RAW_URI"] == "/r/r/a%2Fb%20%FF?x=%31&y"
    assert seen["REQUEST_METHOD"] == "POST"
    assert seen["SERVER_PROTOCOL"] == {"1.1": "HTTP/1.1", "2": "HTTP/2.0"}[version]
    assert seen["HTTP_X_OWN"] == "caf\xe9"
    assert seen["CONTENT_TYPE"] == "text/plain"
    assert seen["CONTENT_LENGTH"] == "0"
    assert not {"HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH"} & seen.keys()
    assert (seen["SERVER_NAME"], seen["REMOTE_ADDR"]) == ("127.0.0.1", "127.0.0.1")
    assert seen["SERVER_PORT"].isdigit()
    assert seen["REMOTE_PORT"].isdigit()
    assert seen["wsgi.input_terminated"] is True


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "shadow", ["x_forwarded_for", "x_forwarded_proto", "remote_user", "x-forwarded_for"]
)
def test_header_with_an_underscore_shadows_no_other(version: str, shadow: str) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        key = "HTTP_" + shadow.upper().replace("-", "_")
        return [environ.get(key, "none").encode()]

    real = shadow.replace("_", "-")

    assert asked(app, version, headers=[(shadow, "evil")]).body == b"none"
    both = asked(app, version, headers=[(real, "good"), (shadow, "evil")])
    assert both.body == b"good"


def test_fields_that_come_several_times_are_joined_and_cookies_in_their_way() -> None:
    environ = environ_of(
        (b"accept", b"a"), (b"cookie", b"a=1"), (b"accept", b"b"), (b"cookie", b"b=2")
    )

    assert environ["HTTP_ACCEPT"] == "a,b"
    assert environ["HTTP_COOKIE"] == "a=1; b=2"


def test_scope_with_the_least_that_asgi_demands_is_enough() -> None:
    environ = environ_of(path="/ü", http_version="1.0")

    assert environ["PATH_INFO"] == "/ü".encode().decode("latin-1")
    assert environ["SERVER_PROTOCOL"] == "HTTP/1.0"
    assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == ("localhost", "80")
    assert (environ["REMOTE_ADDR"], "REMOTE_PORT" in environ) == ("", False)
    assert environ["wsgi.url_scheme"] == "http"


def test_unix_socket_has_no_port() -> None:
    environ = environ_of(server=("/run/app.sock", None))

    assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == ("/run/app.sock", "0")


def test_file_is_read_in_large_blocks_whatever_the_application_says() -> None:
    file = io.BytesIO(bytes(100_000))

    assert [len(block) for block in FileBlocks(file, 100)] == [65536, 34464]
