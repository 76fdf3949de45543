"""The push echo: what is posted is kept, shown and pushed to whoever posted it."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from ngh2 import Setting

from headstart.demo.echo import Echo
from tests.server.live import LiveServer, running
from tests.server.raw import RawClient, Response

ANSWER = b"I received the following data: "
NO_PUSH: dict[int, int] = {Setting.ENABLE_PUSH: 0}
MEBIBYTE = 1024 * 1024


@pytest.fixture
def server() -> Iterator[LiveServer]:
    with running(Echo()) as live:
        yield live


@pytest.fixture
def client(server: LiveServer) -> Iterator[RawClient]:
    with RawClient(server.port) as raw:
        yield raw


def post(client: RawClient, message: bytes, path: bytes = b"/data") -> tuple[Response, Response]:
    """Post and take the push: the answers to both."""
    before = set(client.promises)
    page = client.response(client.request(path, method=b"POST", body=message))
    [promised] = set(client.promises) - before
    return page, client.response(promised)


def test_post_is_pushed_back(client: RawClient) -> None:
    page, pushed = post(client, b"hello world")

    assert (page.status, page.body) == (200, b"Kept 11 bytes; /data pushed.\n")
    assert (pushed.status, pushed.body) == (200, ANSWER + b"hello world")
    assert (b":path", b"/data") in client.promises[2]


def test_get_is_a_real_request_and_answers_with_the_last_message(client: RawClient) -> None:
    post(client, b"one")
    post(client, b"two")

    assert client.get(b"/data").body == ANSWER + b"two"


def test_message_is_kept_per_server_not_per_connection(server: LiveServer) -> None:
    with RawClient(server.port) as first, RawClient(server.port) as second:
        post(first, b"from the first")

        assert second.get(b"/data").body == ANSWER + b"from the first"


def test_binary_message_comes_back_exactly(client: RawClient) -> None:
    message = bytes(range(256)) * 400
    _, pushed = post(client, message)

    assert pushed.body == ANSWER + message
    assert client.get(b"/data").body == ANSWER + message


def test_empty_message_is_a_message(client: RawClient) -> None:
    assert post(client, b"")[1].body == ANSWER


def test_two_clients_that_post_at_the_same_time_get_each_their_own(server: LiveServer) -> None:
    rounds, failures = 50, []
    together = threading.Barrier(2)

    def run(name: bytes) -> None:
        with RawClient(server.port) as client:
            for number in range(rounds):
                message = name + b" %d" % number
                together.wait(90)
                pushed = post(client, message)[1].body
                if pushed != ANSWER + message:
                    failures.append((message, pushed))

    threads = [threading.Thread(target=run, args=[name]) for name in (b"ann", b"bob")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)

    assert not any(thread.is_alive() for thread in threads)
    assert failures == []


def test_client_without_pushes_is_told_why_and_can_ask(server: LiveServer) -> None:
    with RawClient(server.port, NO_PUSH) as client:
        answer = client.response(client.request(b"/data", method=b"POST", body=b"hello"))

        assert answer.body == b"Kept 5 bytes; /data not pushed (push-disabled).\n"
        assert client.promises == {}
        assert client.get(b"/data").body == ANSWER + b"hello"


def test_nothing_posted_yet_is_404(client: RawClient) -> None:
    assert client.get(b"/data").status == 404


def test_too_long_a_message_is_413_and_the_last_one_stays(client: RawClient) -> None:
    post(client, b"kept")
    for path in (b"/data", b"/"):
        body = bytes(MEBIBYTE + 1)
        answer = client.response(client.request(path, method=b"POST", body=body))
        assert (answer.status, answer.body) == (413, b"A message has at most 1 MiB.\n")

    assert client.get(b"/data").body == ANSWER + b"kept"


def test_message_of_one_mebibyte_is_kept(client: RawClient) -> None:
    assert post(client, bytes(MEBIBYTE))[1].received == MEBIBYTE + len(ANSWER)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        (b"GET", b"/nowhere", 404),
        (b"POST", b"/nowhere", 404),
        (b"PUT", b"/data", 405),
        (b"DELETE", b"/", 405),
    ],
)
def test_what_is_not_there_is_said(
    client: RawClient, method: bytes, path: bytes, status: int
) -> None:
    answer = client.response(client.request(path, method=method))

    assert answer.status == status
    assert answer.header(b"allow") == (b"GET, HEAD, POST" if status == 405 else None)
    assert answer.body.endswith(b".\n")


def test_head_has_the_length_of_the_get(client: RawClient) -> None:
    post(client, b"hello")
    head = client.response(client.request(b"/data", method=b"HEAD"))

    assert (head.status, head.body) == (200, b"")
    assert head.header(b"content-length") == str(len(ANSWER) + 5).encode()


def test_page_has_a_form_and_says_how_to_try_it(client: RawClient) -> None:
    page = client.get()

    assert page.header(b"content-type") == b"text/html; charset=utf-8"
    assert b'<form method="post" action="/">' in page.body
    assert b"Nothing was posted yet." in page.body
    assert b"h2c connect http://localhost\n" in page.body


def test_form_keeps_its_message_and_leads_back_to_the_page(client: RawClient) -> None:
    form = b"data=%3Cb%3Ebold%3C%2Fb%3E+%26+%C3%BC"
    answer = client.response(client.request(b"/", method=b"POST", body=form))

    assert (answer.status, answer.header(b"location")) == (303, b"/")
    assert "<pre>&lt;b&gt;bold&lt;/b&gt; &amp; ü</pre>".encode() in client.get().body
    assert client.get(b"/data").body == ANSWER + "<b>bold</b> & ü".encode()


def test_page_shows_a_binary_message_without_breaking(client: RawClient) -> None:
    post(client, b"\xff<script>")

    assert "<pre>\ufffd&lt;script&gt;</pre>".encode() in client.get().body


def test_page_escapes_the_host() -> None:
    with running(Echo()) as server, RawClient(server.port) as client:
        page = client.get(headers=[(b"x", b"1")])

        assert b"<script" not in page.body


def test_forged_number_shows_nothing_that_was_not_posted(client: RawClient) -> None:
    post(client, b"hello")
    forged = [b"0", b"99", b"-1", b"9" * 30, b"x"]
    answers = [client.get(b"/data", headers=[(b"echo-message", number)]) for number in forged]

    assert [a.status for a in answers] == [404, 404, 200, 200, 200]


def test_memory_is_bounded(server: LiveServer, client: RawClient) -> None:
    for number in range(150):
        post(client, b"%d" % number)
    first = client.get(b"/data", headers=[(b"echo-message", b"1")])

    assert first.status == 404
    assert client.get(b"/data").body == ANSWER + b"149"


def test_connection_that_breaks_during_a_post_keeps_nothing(server: LiveServer) -> None:
    with RawClient(server.port) as client:
        stream_id = client.request(b"/data", method=b"POST", body=b"half", end_stream=False)
        client.settle()
        client.reset(stream_id)
        client.settle()

        assert client.get(b"/data").status == 404
