"""The warning at the start for each upstream that cannot be reached."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from headstart.config import ProxyOptions
from headstart.errors import ConfigurationError
from headstart.proxy.reach import refuse_own_address, unreachable, warn_of_unreachable
from headstart.proxy.upstream import Upstream
from tests.ports import closed_port
from tests.server.apps import pushing
from tests.server.live import ServerProcess, certificate, running, until


def reason(text: str, options: ProxyOptions | None = None) -> str:
    return unreachable(Upstream.parse(text), options or ProxyOptions())


@contextmanager
def accepting(answer: bytes = b"") -> Iterator[int]:
    """A server that accepts one connection, says `answer`, and waits for its end; its port."""

    def accept() -> None:
        connection, _ = listener.accept()
        with connection, suppress(ConnectionError):
            connection.sendall(answer)
            while connection.recv(4096):
                pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=accept)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


@pytest.mark.parametrize(
    ("host", "upstream"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("127.0.0.1", "h2c://localhost"),
        ("localhost", "http://127.0.0.1"),
        ("0.0.0.0", "http://127.0.0.2"),
        ("::", "http://[::1]"),
        ("Example.org", "http://example.org"),
    ],
)
def test_upstream_at_the_address_of_the_proxy_is_refused(host: str, upstream: str) -> None:
    with pytest.raises(ConfigurationError, match="is the address of the proxy itself"):
        refuse_own_address([Upstream.parse("unix:/a"), Upstream.parse(upstream)], host, 80)


@pytest.mark.parametrize(
    ("host", "upstream"),
    [
        ("127.0.0.1", "http://127.0.0.1:81"),
        ("127.0.0.1", "http://127.0.0.2"),
        ("127.0.0.1", "http://[::1]"),
        ("0.0.0.0", "http://[::1]"),
        ("0.0.0.0", "http://192.0.2.1"),
        ("0.0.0.0", "http://example.org"),
    ],
)
def test_upstream_at_another_address_is_not_refused(host: str, upstream: str) -> None:
    refuse_own_address([Upstream.parse(upstream)], host, 80)


def unknown(*_: object) -> None:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


def unanswered(*_: object) -> None:
    raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")


@pytest.mark.parametrize("scheme", ["http", "h2c"])
def test_upstream_that_listens_can_be_reached(scheme: str) -> None:
    with accepting() as port:
        assert reason(f"{scheme}://127.0.0.1:{port}") == ""


def test_unix_socket_that_listens_can_be_reached(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "site.sock"))
        listener.listen()

        assert reason(f"unix:{tmp_path}/site.sock") == ""


@pytest.mark.parametrize(
    ("lookup", "expected"),
    [
        (unknown, "the name nowhere.invalid is not known"),
        (
            unanswered,
            "the name nowhere.invalid could not be looked up "
            "(Temporary failure in name resolution)",
        ),
    ],
)
def test_name_without_an_address_is_told(
    lookup: Callable[..., None], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lookup)

    assert reason("http://nowhere.invalid") == expected


@pytest.mark.parametrize("scheme", ["http", "https", "h2c"])
def test_port_that_nobody_listens_on_is_told(scheme: str) -> None:
    with closed_port() as port:
        expected = f"nothing listens on 127.0.0.1:{port}"

        assert reason(f"{scheme}://127.0.0.1:{port}") == expected


def test_unix_socket_that_is_missing_or_left_over_is_told(tmp_path: Path) -> None:
    path = tmp_path / "site.sock"
    assert reason(f"unix:{path}") == f"there is no socket {path}"

    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind(str(path))

    assert reason(f"unix:{path}") == f"nothing listens on {path}"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may connect to every socket")
def test_unix_socket_of_somebody_else_is_told(tmp_path: Path) -> None:
    path = tmp_path / "site.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        path.chmod(0)

        assert reason(f"unix:{path}") == f"connecting to {path} is not permitted"


def test_folder_that_may_not_be_entered_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket, "create_connection", forbidden)

    expected = "connecting to 127.0.0.1:80 is not permitted"
    assert reason("http://127.0.0.1") == expected


def test_other_failures_are_told_in_the_words_of_the_system(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def cut_off(*_: object) -> None:
        raise OSError(113, "No route to host")

    monkeypatch.setattr(socket, "create_connection", cut_off)

    assert reason("http://127.0.0.1") == "No route to host"


def test_upstream_that_says_nothing_of_tls_is_told_after_the_timeout() -> None:
    with accepting() as port:
        options = ProxyOptions(upstream_connect_timeout=0.1)

        expected = f"127.0.0.1:{port} did not answer within 0.1 s"
        assert reason(f"https://127.0.0.1:{port}", options) == expected


def test_upstream_that_does_not_speak_tls_is_told() -> None:
    with accepting(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        assert reason(f"https://127.0.0.1:{port}").startswith("it does not speak TLS (")


def test_certificate_counts() -> None:
    trusting = ProxyOptions(upstream_cacert=str(certificate().ca_certfile))
    with running(pushing, tls=True) as server:
        refused = reason(server.url)

        assert reason(server.url, trusting) == ""
        assert reason(server.url, ProxyOptions(upstream_verify=False)) == ""

    assert refused.startswith("its certificate is not accepted (")
    assert refused.endswith("); see --upstream-cacert")


def test_each_that_cannot_be_reached_has_a_line_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with accepting() as port, closed_port() as closed, caplog.at_level(logging.WARNING):
        texts = [f"http://127.0.0.1:{closed}", f"http://127.0.0.1:{port}", "unix:/nowhere.sock"]
        warn_of_unreachable([Upstream.parse(text) for text in texts], ProxyOptions()).join()

    assert caplog.messages == [
        f"The upstream {texts[0]} cannot be reached: nothing listens on 127.0.0.1:{closed}. The "
        "proxy starts all the same, and tries again with each request.",
        "The upstream unix:/nowhere.sock cannot be reached: there is no socket /nowhere.sock. The "
        "proxy starts all the same, and tries again with each request.",
    ]


def test_proxy_with_workers_warns_once_and_starts() -> None:
    with closed_port() as port:
        proxy = ServerProcess(
            *("proxy", f"http://127.0.0.1:{port}", "--port", "0", "--workers", "2", "--no-learn")
        )
        try:
            proxy.wait_until_started()
            until(lambda: "cannot be reached" in proxy.log, "the warning")
            until(lambda: proxy.log.count("startup complete") == 2, "both workers")
        finally:
            proxy.end()

    assert proxy.log.count(f"nothing listens on 127.0.0.1:{port}") == 1
