"""Tests of headstart.learn.logs.text."""

from __future__ import annotations

import pytest

from headstart.learn.logs.text import fields_of, message_of
from tests.growth import assert_grows_linearly

TIME = "[10/Oct/2025:13:55:36 +0200]"
ASKED = f'- - {TIME} "GET /a?b=1 HTTP/1.1" 200 2326'
LINE = f'192.0.2.1 {ASKED} "https://example.org/" "Agent"'

PREFIXES = [
    "web-1  | ",
    "\x1b[36mweb-1  | \x1b[0m",
    "my_site-web.1 | 2026-03-02T00:00:00.123456789Z ",
    "2026-03-02T00:00:00.123456789Z ",
    "2026-03-02T00:00:00.123456789Z stdout F ",
    "[pod/web-7d4b9/nginx] ",
    "Mar  2 00:00:00 web1 nginx: ",
    "Mar 12 00:00:00 web1 nginx[812]: ",
    "<190>Mar  2 00:00:00 web1 nginx: ",
    "<190>1 2026-03-02T00:00:00.000003+00:00 web1 nginx 812 - - ",
    "2026-03-02T00:00:00.000003+00:00 web1 nginx: ",
    "2026-03-02T00:00:00+0000 web1 docker/site[812]: ",
]

# Values that made a parser with backtracking take minutes, or memory without bound.
HOSTILE = [
    "a",
    " ",
    '"',
    '"a" ',
    "\\",
    '\\"',
    "\\x41",
    "[",
    "a [",
    "- ",
    ": ",
    "9",
    "a, ",
    "\x1b[0m",
]


@pytest.mark.parametrize(
    "line",
    [
        LINE,
        f"{LINE}\r",
        f'{LINE} "-" rt=0.003',
        pytest.param(f"{LINE} 812 4012", id="combinedio"),
        pytest.param(f"{LINE} 15023", id="with %D"),
        pytest.param(
            f"{LINE} 512 0.004 [shop-web-80] [] 10.0.0.7:8080 2326 0.004 200 5f1b",
            id="ingress-nginx",
        ),
        pytest.param(f'{LINE} 17 "web@docker" "http://10.0.0.7:80" 4ms', id="traefik"),
        pytest.param(f'{LINE} rt=0.01 uct="0.00" uht="0.01" urt="0.01, 0.02"', id="upstream"),
    ],
)
def test_combined_line_is_read_and_the_rest_behind_it_is_not(line: str) -> None:
    assert fields_of(line) == {
        "time": TIME[1:-1],
        "client": "192.0.2.1",
        "method": "GET",
        "host": "",
        "url": "/a?b=1",
        "status": "200",
        "size": "2326",
        "referer": "https://example.org/",
        "agent": "Agent",
    }


def test_numbers_between_size_and_referer_are_no_obstacle() -> None:
    fields = fields_of(f'192.0.2.1 {ASKED} 0.003 0.002 "https://example.org/" "Agent"')

    assert fields is not None
    assert (fields["size"], fields["referer"]) == ("2326", "https://example.org/")


def test_common_line_has_no_referer() -> None:
    fields = fields_of(f"192.0.2.1 {ASKED}")

    assert fields is not None
    assert fields["url"] == "/a?b=1"
    assert "referer" not in fields


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("line", [LINE, f"shop.example:443 {LINE}", f"2001:db8::1 {ASKED} 9"])
def test_what_containers_and_syslog_write_before_a_line_is_left_out(prefix: str, line: str) -> None:
    assert message_of(prefix + line) == line


@pytest.mark.parametrize(
    "line", [LINE, f"shop.example:443 {LINE}", f"web - {LINE}", '{"a": 1}', "", "a |b"]
)
def test_line_without_a_prefix_stays_as_it_is(line: str) -> None:
    assert message_of(line) == line


@pytest.mark.parametrize(
    ("before", "host", "client"),
    [
        ("192.0.2.1", "", "192.0.2.1"),
        ("shop.example 192.0.2.1", "shop.example", "192.0.2.1"),
        ("shop.example:8443 2001:db8::1", "shop.example", "2001:db8::1"),
        ("[2001:db8::7]:443 192.0.2.1", "[2001:db8::7]", "192.0.2.1"),
        ("- 192.0.2.1", "", "192.0.2.1"),
        ("198.51.100.7, 10.0.0.1", "", "198.51.100.7"),
        ('"198.51.100.7" 10.0.0.1', "", "198.51.100.7"),
        ('"198.51.100.7, 10.0.0.3" 10.0.0.1', "", "198.51.100.7"),
        ('"-" 192.0.2.1', "", "192.0.2.1"),
        ("client.example.net", "", "client.example.net"),
    ],
)
def test_first_of_two_names_is_the_host_where_the_second_is_an_address(
    before: str, host: str, client: str
) -> None:
    fields = fields_of(f'{before} {ASKED} "-" "Agent"')

    assert fields is not None
    assert (fields["host"], fields["client"]) == (host, client)


@pytest.mark.parametrize(
    ("client", "behind", "found"),
    [
        ("172.18.0.1", '"198.51.100.7"', "198.51.100.7"),
        ("10.0.0.1", '"198.51.100.7, 10.0.0.9"', "198.51.100.7"),
        ("::1", '"2001:db8::7"', "2001:db8::7"),
        ("10.0.0.1", '"-"', "10.0.0.1"),
        ("10.0.0.1", '"fade"', "10.0.0.1"),
        ("8.8.8.8", '"198.51.100.7"', "8.8.8.8"),
    ],
)
def test_forwarded_address_counts_where_the_client_is_a_proxy_nearby(
    client: str, behind: str, found: str
) -> None:
    fields = fields_of(f'{client} {ASKED} "-" "Agent" {behind}')

    assert fields is not None
    assert fields["client"] == found


def test_escapes_are_undone() -> None:
    fields = fields_of(
        f'192.0.2.1 - - {TIME} "GET /\\xc3\\xa9 HTTP/1.1" 200 1 "-" "a \\"b\\" \\\\ \\t\\x22"'
    )

    assert fields is not None
    assert (fields["url"], fields["agent"]) == ("/é", 'a "b" \\ \t"')


@pytest.mark.parametrize(
    "line",
    [
        "",
        "Attaching to web-1",
        "2026/03/02 00:00:00 [error] 7#7: *1 open() failed (2: No such file), client: 192.0.2.1",
        f"192.0.2.1 {TIME}",
        f"one two three - - {TIME} {ASKED}",
        f'192.0.2.1 - - {TIME} "\\x16\\x03\\x01" 400 0 "-" "-"',
        f'192.0.2.1 - - {TIME} "GET / HTTP/1.1" OK 1 "-" "-"',
        f"shop.example client.example.net {ASKED}",
        f"192.0.2.1 {TIME} {ASKED}",
    ],
)
def test_other_lines_are_none(line: str) -> None:
    assert fields_of(line) is None


@pytest.mark.parametrize("head", ["", "192.0.2.1 - - [", f'192.0.2.1 - - {TIME} "', f"{LINE} "])
@pytest.mark.parametrize("part", HOSTILE)
def test_no_line_costs_more_than_its_length(head: str, part: str) -> None:
    value = (part * (64 * 1024 // len(part))).encode()

    assert_grows_linearly(lambda value: fields_of(message_of(head + value.decode())), value)
