"""What a caller asks for, checked and in octets."""

from __future__ import annotations

from typing import Any, cast

import pytest

from headstart.client.contents import Content
from headstart.client.origin import Origin
from headstart.client.prepared import HeaderTypes, Options, PreparedRequest, RequestBuilder
from headstart.errors import ConfigurationError, LocalProtocolError


def prepared(
    url: str = "/", method: str = "GET", content: Content = None, options: Options | None = None
) -> PreparedRequest:
    return RequestBuilder("http://localhost:1", (), 10.0).make(method, url, content, options or {})


def test_path_goes_behind_the_base() -> None:
    builder = RequestBuilder("https://localhost/api/", (), None)

    inside = builder.make("GET", "/users?id=1", None, {})
    outside = builder.make("GET", "http://127.0.0.1:8000/", None, {"timeout": 1.0})

    assert (inside.origin, inside.target) == (Origin("https", "localhost", 443), "/api/users?id=1")
    assert (outside.origin, outside.target) == (Origin("http", "127.0.0.1", 8000), "/")
    assert (inside.timeout, outside.timeout) == (None, 1.0)


def test_path_without_a_base_gets_a_clear_error() -> None:
    with pytest.raises(ConfigurationError, match="names no host") as caught:
        RequestBuilder("", (), None).make("GET", "/path", None, {})

    assert caught.value.hint


def test_base_that_is_no_url_gets_a_clear_error() -> None:
    with pytest.raises(ConfigurationError):
        RequestBuilder("/path", (), None)


def test_option_that_no_request_has_is_named() -> None:
    with pytest.raises(
        TypeError, match=r"a request does not take: verify; see AsyncClient.request"
    ):
        prepared(options=cast(Options, {"verify": None}))


def test_a_request_without_options_is_prepared_once() -> None:
    builder = RequestBuilder("https://localhost/", (), 10.0)
    first = builder.make("GET", "/", None, {})

    same = builder.make("GET", "/", None, {})
    others = [
        builder.make("HEAD", "/", None, {}),
        builder.make("GET", "/b", None, {}),
        builder.make("GET", "/", b"", {}),
        builder.make("GET", "/", None, {"timeout": 1.0}),
    ]

    assert same is first
    assert (first.method, first.target, first.content, first.timeout) == ("GET", "/", None, 10.0)
    assert [(one.method, one.target, one.content, one.timeout) for one in others] == [
        ("HEAD", "/", None, 10.0),
        ("GET", "/b", None, 10.0),
        ("GET", "/", b"", 10.0),
        ("GET", "/", None, 1.0),
    ]


def test_prepared_requests_of_many_urls_are_forgotten() -> None:
    builder = RequestBuilder("https://localhost/", (), 10.0)
    first = builder.make("GET", "/", None, {})

    for number in range(600):
        builder.make("GET", f"/{number}", None, {})
    again = builder.make("GET", "/", None, {})

    assert again == first
    assert again is not first


@pytest.mark.parametrize("headers", [{"X-A": "1"}, [("X-A", b"1")], iter([(b"x-a", "1")])])
def test_fields_are_octets_with_names_in_lower_case(headers: HeaderTypes) -> None:
    made = prepared(options={"headers": headers})

    assert made.headers[0] == (b"x-a", b"1")
    assert made.headers[1][0] == b"user-agent"


def test_field_that_cannot_be_sent_gets_a_clear_error() -> None:
    with pytest.raises(LocalProtocolError, match="Latin-1"):
        prepared(options={"headers": {"price": "1 \N{EURO SIGN}"}})


def test_trailers_are_asked_for_when_they_are_sent() -> None:
    asked: list[str] = []

    def trailers() -> dict[str, str]:
        asked.append("asked")
        return {"Sum": "1"}

    made = prepared(options={"trailers": trailers})
    before = list(asked)

    assert (made.send_trailers(), before, asked) == ([(b"sum", b"1")], [], ["asked"])
    assert prepared(options={"trailers": {"Sum": "1"}}).send_trailers() == [(b"sum", b"1")]


def test_text_as_content_is_a_mistake_that_is_told() -> None:
    with pytest.raises(TypeError, match="content must be bytes, not str"):
        prepared(method="POST", content=cast(bytes, "text"))


@pytest.mark.parametrize(
    ("url", "options", "told"),
    [
        ("/", {"headers": {"x-count": 1}}, "a field is str or bytes, not int: 1"),
        ("/", {"headers": {"x-none": None}}, "a field is str or bytes, not NoneType"),
        (None, {}, "a URL is str, not NoneType"),
        (b"/", {}, "a URL is str, not bytes"),
        ("/", {"timeout": "5"}, "a time-out is seconds, or None for no end; not '5'"),
    ],
)
def test_argument_of_a_wrong_type_is_told_by_its_name(
    url: Any, options: dict[str, Any], told: str
) -> None:
    with pytest.raises(TypeError, match=told):
        prepared(url, options=cast(Options, options))


def test_option_of_httpx_is_told_to_be_httpxs() -> None:
    with pytest.raises(TypeError, match=r"not take: auth; use httpx with headstart\.httpx"):
        prepared(options=cast(Options, {"auth": ("user", "password")}))


@pytest.mark.parametrize(
    ("options", "content", "media_type"),
    [
        ({"json": {"a": [1, None, "é"]}}, '{"a":[1,null,"é"]}'.encode(), b"application/json"),
        (
            {"data": {"a": "1 2", "b": ["x", "y"]}},
            b"a=1+2&b=x&b=y",
            b"application/x-www-form-urlencoded",
        ),
        ({"data": {}}, b"", b"application/x-www-form-urlencoded"),
        ({"json": [], "headers": {"Content-Type": "a/b"}}, b"[]", b"a/b"),
        ({"json": None, "data": None, "headers": {"content-type": "a/b"}}, b"", b"a/b"),
    ],
)
def test_forms_and_json_are_encoded_and_say_their_type(
    options: Options, content: bytes, media_type: bytes
) -> None:
    made = prepared(method="POST", content=b"", options=options)

    assert made.content == content
    assert [value for name, value in made.headers if name == b"content-type"] == [media_type]


def test_parameters_go_into_the_query() -> None:
    made = prepared("/path?old=1&kept=2", options={"params": {"old": "new value"}})

    assert made.target == "/path?kept=2&old=new+value"


@pytest.mark.parametrize(
    ("content", "options"),
    [(b"x", {"json": 1}), (b"x", {"data": {}}), (b"", {"data": {}, "json": 1})],
)
def test_request_has_one_content(content: bytes, options: Options) -> None:
    with pytest.raises(TypeError, match="content, data and json exclude each other"):
        prepared(method="POST", content=content, options=options)


def test_bytes_as_a_form_are_told_to_be_content() -> None:
    with pytest.raises(TypeError, match="give bytes as content"):
        prepared(method="POST", options=cast(Options, {"data": b"bytes"}))
