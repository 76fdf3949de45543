"""`get`, `post` and the other requests, `set`, `unset`, and which headers may be sent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.h2c import options
from headstart.h2c.options.connections import Trust
from headstart.h2c.options.requests import FromFile, RequestCommand, SetField, Text, is_like_a_host
from tests.h2c.options.typed import exchange, mistake


@pytest.mark.parametrize(
    "arguments", [["get", "/", "-H", "Connection: close"], ["set", "upgrade", "h2c"]]
)
def test_fields_of_http1_connections_are_mistakes(arguments: list[str]) -> None:
    assert mistake(*arguments).startswith("HTTP/2 has no field ")


@pytest.mark.parametrize(
    "name", ["a b", ":path", "", "naïve", "a:", "a\n", "k\udcff", "\u212a", "a\0"]
)
def test_a_name_that_no_field_has_is_a_mistake(name: str) -> None:
    expected = f"{name!r} is not a valid header name; use letters, digits and '-'"
    assert mistake("set", name, "x") == f"{expected}; see 'h2c set --help'"


@pytest.mark.parametrize("value", ["a\nb", "\r", "\x00", "a\x7f", "\x1b[31m", "a\n"])
def test_a_value_that_no_field_has_is_a_mistake(value: str) -> None:
    expected = f"{value!r} cannot be the value of a: no line feeds, no control characters"
    assert mistake("set", "a", value) == f"{expected}; see 'h2c set --help'"
    assert "cannot be the value of a: " in mistake("get", "/", "-H", f"a: {value}")


def test_white_space_around_a_value_is_not_part_of_it() -> None:
    assert options.parse(["set", "a", "\t b c "]) == SetField((b"a", b"b c"))
    assert exchange("get", "/", "-H", "a:\tb c ").headers == ((b"a", b"b c"),)


def test_te_may_only_be_trailers() -> None:
    assert options.parse(["set", "TE", "Trailers"]) == SetField((b"te", b"Trailers"))
    assert mistake("set", "te", "x") == (
        "te can only be 'trailers' in HTTP/2 (RFC 9113, 8.2.2); see 'h2c set --help'"
    )


def test_host_is_a_host() -> None:
    assert options.parse(["set", "host", "[::1]:80"]) == SetField((b"host", b"[::1]:80"))
    assert mistake("set", "host", "a@b").startswith("'a@b' is not a host; write HOST or HOST:PORT;")


def test_set_needs_a_value_which_may_be_empty() -> None:
    expected = "'a' needs a value; write 'h2c set NAME VALUE'; see 'h2c set --help'"
    assert mistake("set", "a") == expected
    assert options.parse(["set", "a", ""]) == SetField((b"a", b""))


@given(st.binary(max_size=50).filter(lambda octets: b"\0" not in octets))
def test_data_is_octet_by_octet_what_was_typed(octets: bytes) -> None:
    typed = octets.decode("utf-8", "surrogateescape")

    assert exchange("post", "--data", typed, "/").content == Text(octets)


def test_content_can_come_from_a_file() -> None:
    assert exchange("put", "--file", "-", "/").content == FromFile("-")


@pytest.mark.parametrize(
    "both",
    [
        ("--data", "a", "--file", "b"),
        ("--data", "a", "--json", "b"),
        ("--json", "1", "--file", "b"),
    ],
)
def test_content_comes_from_one_place_only(both: tuple[str, ...]) -> None:
    assert mistake("post", "/", *both).startswith("--data, --json and --file exclude each other")


def test_json_has_its_type_unless_another_is_given() -> None:
    assert exchange("post", "/", "--json", "{}").headers == (
        (b"content-type", b"application/json"),
    )
    other = exchange("post", "/", "--json", "{}", "--content-type", "application/ld+json")
    assert other.headers == ((b"content-type", b"application/ld+json"),)


def test_fields_are_lower_case_and_keep_the_colons_of_their_values() -> None:
    command = exchange("get", "/", "-H", "X-Time: 12:30", "--header", "Empty:")

    assert command.headers == ((b"x-time", b"12:30"), (b"empty", b""))


@pytest.mark.parametrize("field", ["no colon", ": no name", ":path: /"])
def test_what_is_no_field_is_a_mistake(field: str) -> None:
    assert "is not a header" in mistake("get", "/", "-H", field)


def test_a_field_of_one_request_is_checked_like_one_that_is_set() -> None:
    assert mistake("get", "/", "-H", "a b: c").startswith("'a b' is not a valid header name")
    assert mistake("get", "/", "--content-type", "a\nb").startswith("'a\\nb' cannot be the value")


def test_every_option_of_a_request_arrives() -> None:
    command = exchange(
        *["get", "-i", "-v", "--fail", "--keep", "--no-push-cache", "--insecure"],
        *["--cacert", "ca.pem", "--timeout", "2.5", "-o", "file", "/a?b"],
    )

    assert command == RequestCommand(
        method="GET",
        where="/a?b",
        content=None,
        headers=(),
        include=True,
        output="file",
        fail=True,
        verbose=True,
        timeout=2.5,
        use_pushes=False,
        keep_push=True,
        trust=Trust("ca.pem", True),
    )


@pytest.mark.parametrize("method", ["get", "head", "options", "delete", "post", "put", "patch"])
def test_methods_have_commands(method: str) -> None:
    assert exchange(method, "/").method == method.upper()


def test_hints_are_followed_by_a_get() -> None:
    assert exchange("get", "--follow-hints", "/").follow_hints
    expected = "--follow-hints goes with a GET that sends no file; see 'h2c post --help'"
    assert mistake("post", "--follow-hints", "/") == expected
    assert mistake("get", "--follow-hints", "--file", "x", "/").startswith("--follow-hints goes")


def test_any_other_method_can_be_asked_for() -> None:
    assert exchange("request", "propfind", "/").method == "PROPFIND"
    assert "is not a method" in mistake("request", "GET /", "/")
    for name in ("CONNECT", "connect"):
        assert "'h2c connect HOST:PORT' makes a connection" in mistake("request", name, "/")


def test_an_empty_name_of_a_file_is_a_mistake() -> None:
    for option in ("-o", "--output", "--file", "--cacert"):
        expected = "the name of the file is empty; give a path; see 'h2c post --help'"
        assert mistake("post", option, "", "/path").endswith(expected)


@pytest.mark.parametrize("verb", ["get", "post", "load", "request PURGE"])
def test_an_empty_path_is_a_mistake_and_not_the_root(verb: str) -> None:
    found = mistake(*verb.split(), "")

    assert found.startswith("argument PATH_OR_URL: it is empty; give a path such as /, or a URL")


def test_data_of_curl_is_a_form_or_a_file() -> None:
    command = exchange("post", "-d", "a=1", "/")

    form = (b"content-type", b"application/x-www-form-urlencoded")
    assert (command.content, command.headers) == (Text(b"a=1"), (form,))
    assert exchange("post", "-d", "@form.txt", "/").content == FromFile("form.txt")
    assert exchange("post", "-d", "{}", "-H", "Content-Type: a/b", "/").headers == (
        (b"content-type", b"a/b"),
    )
    assert mistake("post", "-d", "a", "--data", "b", "/").startswith("--data, --json and --file")


def test_user_and_password_are_basic_credentials() -> None:
    command = exchange("get", "-u", "Aladdin:open sesame", "/")

    # RFC 7617, 2.
    assert command.headers == ((b"authorization", b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),)
    assert mistake("get", "-u", "Aladdin", "/").startswith("-u needs a password; write -u USER:")


def test_compression_is_asked_for_unless_you_say_which() -> None:
    asked = exchange("get", "--compressed", "/")
    named = exchange("get", "--compressed", "-H", "accept-encoding: gzip", "/")

    assert asked.compressed
    assert asked.headers == ((b"accept-encoding", b"gzip, deflate"),)
    assert named.headers == ((b"accept-encoding", b"gzip"),)


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (["-X", "POST"], "write 'h2c request METHOD PATH'"),
        (["-XPOST"], "write 'h2c request METHOD PATH'"),
        (["-I"], "write 'h2c head PATH'"),
        (["--head"], "write 'h2c head PATH'"),
        (["-sS"], "leave it out"),
        (["--data-binary", "@x"], "write --data TEXT or --file FILE"),
    ],
)
def test_other_options_of_curl_are_told_what_to_write(typed: list[str], told: str) -> None:
    assert told in mistake("get", "/", *typed)


@pytest.mark.parametrize("command", ["get", "load"])
@pytest.mark.parametrize(
    "where",
    [
        *("localhost", "localhost:8444", "LOCALHOST:8444/a", "127.0.0.1:80", "[::1]:8443/?b"),
        *("example.org:8443", "www.example.org", "www.example.org/a#b"),
    ],
)
def test_server_without_a_scheme_is_a_mistake_and_not_a_path(command: str, where: str) -> None:
    assert mistake(command, where).startswith(
        f"{where!r} is neither a path nor a URL; write https://{where} or /{where}; "
    )


@pytest.mark.parametrize("command", ["get", "load"])
@pytest.mark.parametrize(
    ("where", "meant"),
    [
        ("https:/localhost:8443/", "https://localhost:8443/"),
        ("https//localhost:8443/", "https://localhost:8443/"),
        ("https/example.org", "https://example.org"),
        ("HTTP:example.org/a", "http://example.org/a"),
        ("http:///example.org", "http://example.org"),
        ("https:\\\\example.org", "https://example.org"),
    ],
)
def test_a_url_with_a_broken_scheme_is_a_mistake_and_not_a_path(
    command: str, where: str, meant: str
) -> None:
    assert mistake(command, where).startswith(
        f"{where!r} is neither a path nor a URL; write {meant} or /{where}; "
    )


@pytest.mark.parametrize(
    ("path", "is_host"),
    [
        *((name, True) for name in ("nosuch.example", "a.b.org/", "Example.COM", "a.xn--p1ai")),
        *(
            (name, False)
            for name in ("page.html", "app.min.js", "index.php", "a.woff2", "a.tar.gz")
        ),
        *((name, False) for name in ("/nosuch.example", "a.org/b", "v1.2", "a b.org", "page")),
    ],
)
def test_a_path_may_be_like_a_host(path: str, is_host: bool) -> None:
    assert is_like_a_host(path) is is_host


@pytest.mark.parametrize(
    "where",
    [
        *("https", "http:", "https:/", "httpsx/a"),
        *("page.html", "a/b", "?q", "*", "item:42", "a.b:c", "page.html/x:80", "localhost.html"),
        *("/localhost:8444", "http://localhost:8444", "wwwroot/x", "v1.2:99999999"),
    ],
)
def test_path_without_a_slash_is_none(where: str) -> None:
    assert exchange("get", where).where == where
