"""PushBuilder: Servlet 4's rules, message by message."""

from __future__ import annotations

from typing import Any

import pytest

from headstart.deliver.outcome import Push, PushState
from headstart.deliver.push import PushBuilder, push
from headstart.errors import LocalProtocolError
from headstart.reasons import Refusal
from tests.deliver.pages import HINT, OURS, PUSH, Request, Server, scope_of


def builder_for(server: Server, *arguments: Any, **scope: Any) -> PushBuilder:
    return PushBuilder(scope_of(*arguments, **scope), server.receive, server.send)


async def pushed(page: str, path: str, query: str = "") -> str:
    server = Server()
    await builder_for(server, page).path(path).query_string(query).push()
    return server.paths[0]


async def fields(builder: PushBuilder, server: Server) -> list[tuple[bytes, bytes]]:
    await builder.path("/x").push()
    return list(server.messages[-1]["headers"])


# The path.


@pytest.mark.parametrize(
    ("page", "path", "target"),
    [
        ("/", "style.css", "/style.css"),
        ("/shop/item", "style.css", "/shop/style.css"),
        ("/shop/", "style.css", "/shop/style.css"),
        ("/shop/item", "../a.css", "/a.css"),
        ("/shop/item", "./a.css", "/shop/a.css"),
        ("/shop/item", "/a.css", "/a.css"),
        ("/a", "b.css?v=1", "/b.css?v=1"),
        ("/a", "https://example.test/b.css", "/b.css"),
        ("/a", "//example.test/b.css", "/b.css"),
        ("/a", "https://example.test", "/"),
        ("/a%20b/c", "d.css", "/a%20b/d.css"),
        ("/a", "/b.css#part", "/b.css"),
    ],
)
async def test_path_is_resolved_against_the_page(page: str, path: str, target: str) -> None:
    assert await pushed(page, path) == target


@pytest.mark.parametrize(
    ("path", "query", "target"),
    [
        ("/x", "a=1", "/x?a=1"),
        ("/x?a=1", "b=2", "/x?a=1&b=2"),
        ("/x?a=1", "a=1", "/x?a=1&a=1"),
        ("/x?a=1", "", "/x?a=1"),
        ("/x", "?a=1", "/x?a=1"),
    ],
)
async def test_queries_merge_the_paths_own_first(path: str, query: str, target: str) -> None:
    assert await pushed("/", path, query) == target


@pytest.mark.parametrize(
    "path", ["https://elsewhere.test/x", "//elsewhere.test/x", "http://example.test/x"]
)
async def test_path_to_another_host_or_scheme_is_an_error(path: str) -> None:
    server = Server()

    with pytest.raises(LocalProtocolError, match="another host"):
        await builder_for(server).path(path).push()
    assert server.messages == []


async def test_page_without_raw_path_is_resolved_by_its_path() -> None:
    server = Server()
    await builder_for(server, "/shop/item", raw_path=None).path("a.css").push()

    assert server.paths == ["/shop/a.css"]


async def test_page_whose_path_is_not_ascii_is_resolved_without_raw_path() -> None:
    server = Server()
    await builder_for(server, "/süß/", raw_path=None).path("a.css").push()

    assert server.paths == ["/s%C3%BC%C3%9F/a.css"]
    referer = (b"referer", b"https://example.test/s%C3%BC%C3%9F/")
    assert referer in server.messages[0]["headers"]


async def test_page_with_eight_bit_characters_over_http_1_1_is_no_error() -> None:
    server = Server()
    builder = builder_for(server, raw_path=b"/s\xfc%C3%9F/", extensions={})
    outcome = await builder.path("a.css").push()

    assert (outcome.path, outcome.refusal) == ("/s%FC%C3%9F/a.css", Refusal.UNSUPPORTED)


async def test_path_that_is_no_url_is_an_error() -> None:
    with pytest.raises(LocalProtocolError, match="is not a valid path"):
        await builder_for(Server()).path("https://[x/").push()


async def test_push_without_a_path_is_an_error() -> None:
    with pytest.raises(LocalProtocolError, match="nothing to push"):
        await builder_for(Server()).push()


async def test_builder_is_usable_again_with_the_path_cleared_and_all_else_kept() -> None:
    server = Server()
    builder = builder_for(server).method("HEAD").set_header("x-own", "1").query_string("v=1")

    await builder.path("/a").push()
    with pytest.raises(LocalProtocolError, match="nothing to push"):
        await builder.push()
    await builder.path("/b").push()

    assert server.paths == ["/a?v=1", "/b?v=1"]
    assert [message["method"] for message in server.messages] == ["HEAD", "HEAD"]
    assert all((b"x-own", b"1") in message["headers"] for message in server.messages)


async def test_earlier_push_is_not_changed_by_later_calls() -> None:
    server = Server()
    builder = builder_for(server)
    await builder.path("/a").push()
    builder.set_header("x-own", "1")

    assert (b"x-own", b"1") not in server.messages[0]["headers"]


# The method.


async def test_method_is_get_by_default() -> None:
    server = Server()
    await builder_for(server).path("/x").push()

    assert server.messages[0]["method"] == "GET"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "get"])
def test_method_that_cannot_be_pushed_is_an_error(method: str) -> None:
    with pytest.raises(LocalProtocolError, match="cannot be pushed"):
        builder_for(Server()).method(method)


# The fields.

CARRIED = [
    (b"accept", b"*/*"),
    (b"accept-charset", b"utf-8"),
    (b"accept-encoding", b"gzip"),
    (b"accept-language", b"de"),
    (b"authorization", b"Basic x"),
    (b"cookie", b"a=1"),
    (b"user-agent", b"test"),
]
LEFT = [
    (b"if-none-match", b'"x"'),
    (b"if-modified-since", b"now"),
    (b"range", b"bytes=0-1"),
    (b"expect", b"100-continue"),
    (b"content-type", b"text/plain"),
    (b"content-length", b"0"),
    (b"referer", b"https://example.test/before"),
    (b"te", b"trailers"),
    (b"sec-fetch-mode", b"navigate"),
    (b"x-other", b"1"),
]


async def test_push_carries_what_says_who_the_client_is_and_what_it_reads() -> None:
    server = Server()
    builder = builder_for(server, "/page", headers=[*CARRIED, *LEFT], query_string=b"q=1")

    assert await fields(builder, server) == [
        *CARRIED,
        (b"referer", b"https://example.test/page?q=1"),
    ]


async def test_page_without_host_has_no_referer() -> None:
    server = Server()
    scope = scope_of()
    scope["headers"] = []
    builder = PushBuilder(scope, server.receive, server.send)

    assert await fields(builder, server) == []


async def test_fields_can_be_set_added_and_removed() -> None:
    server = Server()
    builder = builder_for(server, headers=[(b"accept", b"*/*"), (b"cookie", b"a=1")])
    builder.remove_header("Referer").remove_header("Cookie").remove_header("x-none")
    builder.set_header("Accept", "text/css").add_header("X-Own", "1").add_header("x-own", "2")

    assert await fields(builder, server) == [
        (b"accept", b"text/css"),
        (b"x-own", b"1"),
        (b"x-own", b"2"),
    ]


FORBIDDEN = [
    *("If-Match", "If-None-Match", "if-range", "Range", "Expect", "Content-Type", "Host", "TE"),
    *("Content-Length", "Trailer", "Connection", "Transfer-Encoding", "Upgrade", "Max-Forwards"),
]


@pytest.mark.parametrize(("name", "value"), [("x-ä", "\u20ac"), ("x-\udc89", "y")])
def test_field_that_is_no_latin_1_is_an_error(name: str, value: str) -> None:
    builder = builder_for(Server())

    with pytest.raises(LocalProtocolError, match="cannot stand in a field"):
        builder.set_header(name, value)


@pytest.mark.parametrize("name", FORBIDDEN)
def test_field_that_a_push_must_not_carry_is_an_error(name: str) -> None:
    builder = builder_for(Server())

    for setter in (builder.set_header, builder.add_header):
        with pytest.raises(LocalProtocolError, match=f"no {name}"):
            setter(name, "x")


# The session.


@pytest.mark.parametrize(
    ("cookies", "expected"),
    [
        ([], b"session=new"),
        ([b"session=old"], b"session=new"),
        ([b"a=1; session=old; b=2"], b"a=1; b=2; session=new"),
        ([b"a=1", b"session=old"], b"a=1; session=new"),
        ([b"sessions=1"], b"sessions=1; session=new"),
    ],
)
async def test_session_replaces_the_clients_old_one(cookies: list[bytes], expected: bytes) -> None:
    server = Server()
    builder = builder_for(server, headers=[(b"cookie", value) for value in cookies])
    builder.remove_header("referer").session("new")

    assert await fields(builder, server) == [(b"cookie", expected)]


async def test_session_cookie_may_have_another_name() -> None:
    server = Server()
    builder = builder_for(server).remove_header("referer").session("1", cookie="sid")

    assert await fields(builder, server) == [(b"cookie", b"sid=1")]


@pytest.mark.parametrize(
    ("value", "name"), [("a;b", "s"), ("a b", "s"), ("a\r\nb", "s"), ("ä", "s"), ("a", "bad name")]
)
def test_session_that_cannot_stand_in_a_cookie_is_an_error(value: str, name: str) -> None:
    with pytest.raises(LocalProtocolError, match="cookie"):
        builder_for(Server()).session(value, cookie=name)


# What became of it.


async def test_outcome_is_true_where_the_server_took_it() -> None:
    server = Server()
    outcome = await builder_for(server).path("/x").push()

    assert outcome
    assert (outcome.state, outcome.stream_id, outcome.path) == (PushState.SENT, 2, "/x")
    assert server.messages[0]["headstart"] is outcome


@pytest.mark.parametrize(
    ("extensions", "refusal"),
    [
        ({}, Refusal.UNSUPPORTED),
        (HINT, Refusal.UNSUPPORTED),
        (OURS, Refusal.PUSH_DISABLED),
        ({"headstart": {"pushed": True}}, Refusal.PUSHED_PARENT),
    ],
    ids=["other server", "hints only", "client refuses", "pushed request"],
)
async def test_without_the_extension_it_is_a_no_op_that_says_why(
    extensions: dict[str, Any], refusal: Refusal
) -> None:
    server = Server()
    builder = builder_for(server, extensions=extensions)
    outcome = await builder.path("/x").push()

    assert not outcome
    assert (outcome.state, outcome.refusal) == (PushState.REFUSED, refusal)
    assert server.messages == []
    with pytest.raises(LocalProtocolError, match="nothing to push"):
        await builder.push()


async def test_scope_without_extensions_is_a_server_without_pushes() -> None:
    scope = scope_of()
    del scope["extensions"]
    server = Server()
    outcome = await PushBuilder(scope, server.receive, server.send).path("/x").push()

    assert outcome.refusal is Refusal.UNSUPPORTED


async def test_other_servers_with_the_extension_get_a_plain_message() -> None:
    server = Server(answers=False)
    outcome = await builder_for(server, extensions=PUSH).path("/x").push()

    assert outcome
    assert (outcome.state, outcome.stream_id) == (PushState.SENT, 0)
    assert set(server.messages[0]) == {"type", "path", "headers"}


async def test_other_servers_cannot_push_a_head() -> None:
    server = Server(answers=False)
    outcome = await builder_for(server, extensions=PUSH).method("HEAD").path("/x").push()

    assert (bool(outcome), outcome.refusal) == (False, Refusal.UNSUPPORTED)
    assert server.messages == []


# push().


async def test_push_of_a_request_sends_the_same_message() -> None:
    server = Server()
    request = Request(scope_of("/page"), server)
    outcome = await push(request, "x.css", method="HEAD", headers={"x-own": "1"})

    assert isinstance(outcome, Push)
    [message] = server.messages
    assert (message["path"], message["method"]) == ("/x.css", "HEAD")
    assert (b"x-own", b"1") in message["headers"]


async def test_request_without_a_send_channel_is_an_error() -> None:
    with pytest.raises(LocalProtocolError, match="no send channel"):
        await push(Request(scope_of(), None), "/x")
