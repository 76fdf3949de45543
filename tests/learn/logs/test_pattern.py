"""Tests of headstart.learn.logs.pattern."""

from __future__ import annotations

import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.errors import ConfigurationError
from headstart.learn.logs.lines import line_of
from headstart.learn.logs.pattern import Pattern
from tests.growth import assert_grows_linearly

TIME = "02/Mar/2026:12:00:01 +0000"
WANTED = ("192.0.2.1", "GET", "/a?b=1", "200", "https://example.org/", "Agent")
COMBINED = '%h %l %u %t \\"%r\\" %>s %b \\"%{Referer}i\\" \\"%{User-Agent}i\\"'
MAIN = (
    "log_format main '$remote_addr - $remote_user [$time_local] \"$request\" '\n"
    '    \'$status $body_bytes_sent "$http_referer" "$http_user_agent"\';'
)

# A format, and a line that it wrote.
LINES = [
    (
        COMBINED,
        f'192.0.2.1 - - [{TIME}] "GET /a?b=1 HTTP/1.1" 200 9 "https://example.org/" "Agent"',
    ),
    (
        f'LogFormat "{COMBINED}" combined',
        f'192.0.2.1 - - [{TIME}] "GET /a?b=1 HTTP/1.1" 200 9 "https://example.org/" "Agent"\r\n',
    ),
    (MAIN, f'192.0.2.1 - - [{TIME}] "GET /a?b=1 HTTP/1.1" 200 9 "https://example.org/" "Agent"\n'),
    (
        "$msec|${request_method}|$host|$uri$is_args$args|$status|$http_referer|$http_user_agent|"
        "$remote_addr",
        "1772452801.000|GET|example.org|/a?b=1|200|https://example.org/|Agent|192.0.2.1",
    ),
    (
        "$remote_addr $time_local $request $status $http_referer $http_user_agent",
        f"192.0.2.1 {TIME} GET /a?b=1 HTTP/1.1 200 https://example.org/ Agent",
    ),
    (
        "%{usec}t %v %m %U%q %s %a %{Referer}i %{User-agent}i %D",
        "1772452801000000 example.org GET /a?b=1 200 192.0.2.1 https://example.org/ Agent 12",
    ),
    (
        "%{%Y-%m-%d %H:%M:%S}t;%h;%m;%U;%q;%>s;%{referer}i;%{user-agent}i;100%%",
        "2026-03-02 12:00:01;192.0.2.1;GET;/a;?b=1;200;https://example.org/;Agent;100%",
    ),
    (
        '"$http_x_forwarded_for" $remote_addr $time_iso8601 $request_method $uri $args $status '
        '"$http_referer" $upstream_response_time "$http_user_agent"',
        '"192.0.2.1, 10.0.0.7" 10.0.0.2 2026-03-02T12:00:01+00:00 GET /a b=1 200 '
        '"https://example.org/" - "Agent"',
    ),
    (
        "%400,501{X}i %!200{Y}i %{begin:msec}t %{Referer}i %{User-Agent}i %h %m %U %q %>s",
        "- - 1772452801000 https://example.org/ Agent 192.0.2.1 GET /a ?b=1 200",
    ),
]


@pytest.mark.parametrize(("text", "line"), LINES)
def test_line_is_read_back(text: str, line: str) -> None:
    fields = Pattern(text).fields_of(line)

    assert fields is not None
    names = ("client", "method", "url", "status", "referer", "agent")
    assert tuple(fields[name] for name in names) == WANTED
    read = line_of(fields, "example.org")
    assert read is not None
    assert read.time == 1772452801.0


def test_fields_of_the_response_are_read() -> None:
    form = "%{sec}t %U %s %{Content-Type}o %{Cache-Control}o %{X-Other}o"

    fields = Pattern(form).fields_of("1 /a.css 200 text/css max-age=60 x")

    assert fields is not None
    assert (fields["type"], fields["cache"]) == ("text/css", "max-age=60")
    assert fields["method"] == "GET"  # where none is logged


def test_whole_url_names_the_host() -> None:
    fields = Pattern("$msec $scheme://$host$request_uri $status").fields_of("1 http://a.b/c?d 200")

    line = line_of(fields or {}, "")
    assert line is not None
    assert (line.exchange.request.origin, line.exchange.request.target) == ("https://a.b", "/c?d")


def test_quotes_that_are_escaped_end_nothing() -> None:
    pattern = Pattern('[$time_local] "$request" $status "$http_referer" "$http_user_agent"')

    fields = pattern.fields_of(f'[{TIME}] "GET /a\\"b HTTP/1.1" 200 "-" "A \\"B\\" \\x22C"')

    assert fields is not None
    assert (fields["url"], fields["referer"], fields["agent"]) == ('/a"b', "", 'A "B" "C')


@pytest.mark.parametrize(
    "line",
    [
        "",
        "x",
        f"[{TIME}",
        f'[{TIME}] "GET',
        f'[{TIME}] "GET" 200 x',
        f'[{TIME}] "GET / H"200 x',
        "[-] ",
    ],
)
def test_other_lines_are_none(line: str) -> None:
    assert Pattern('[$time_local] "$request" $status $http_referer').fields_of(line) is None


def test_client_nearby_that_no_proxy_named_stays() -> None:
    pattern = Pattern("$remote_addr $http_x_forwarded_for $msec $request_uri $status")

    for line, client in [
        ("10.0.0.1 - 1 / 200", "10.0.0.1"),
        ("9.9.9.9 8.8.8.8 1 / 200", "9.9.9.9"),
    ]:
        fields = pattern.fields_of(line)
        assert fields is not None
        assert fields["client"] == client


def test_time_that_does_not_fit_its_own_format_makes_no_line() -> None:
    for clock in ("%d.%m.%Y", "msec"):
        fields = Pattern(f"%{{{clock}}}t %m %U %s").fields_of("today GET / 200")
        assert fields is not None
        assert line_of(fields, "") is None


def test_time_with_a_zone_of_its_own_is_at_that() -> None:
    fields = Pattern("%{%d.%m.%Y %H:%M %z}t %U %s").fields_of("02.03.2026 13:00 +0100 / 200")

    assert fields is not None
    assert fields["time"] == 1772452800.0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("combined", "has no variable such as"),
        ("", "has no variable such as"),
        ("$time_local$request $status", "two variables with nothing between them"),
        ("%h%m %t %r %s", "two variables with nothing between them"),
        ("$remote_addr $request", "does not have the time and the status"),
        ("$foo", "does not have the time, the request and the status"),
        ("%t %>s", "does not have the request"),
        ("%{end:sec}t %r %>s", "does not have the time"),
    ],
)
def test_format_that_cannot_be_used_is_refused_with_the_reason(text: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(said)) as told:
        Pattern(text)

    assert told.value.hint


@given(st.text())
def test_no_format_and_no_line_stops_the_reader(text: str) -> None:
    with contextlib.suppress(ConfigurationError):
        Pattern(text).fields_of(text)
    Pattern('%h [%{%Y}t] "%r" %>s %b').fields_of(text)


@pytest.mark.parametrize("part", ["a", " ", '"', "\\", '\\"', '" "', "[x] "])
@pytest.mark.parametrize("text", [COMBINED, MAIN, "$request_uri $status $msec $args x $host"])
def test_no_line_costs_more_than_its_length(text: str, part: str) -> None:
    pattern = Pattern(text)
    line = (f'1 - - [{TIME}] "' + part * 60_000).encode()

    assert_grows_linearly(lambda octets: pattern.fields_of(octets.decode()), line)
