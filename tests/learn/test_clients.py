"""The viewer, the client, the voter and the groups of a request."""

from __future__ import annotations

import pytest

from headstart.learn import Request
from headstart.learn.clients import (
    SEGMENTS,
    client_key,
    groups_of,
    segment_of,
    viewer_key,
    voter_of,
)
from tests.learn.site import ORIGIN, page_request

CHROME = "Mozilla/5.0 (X11; Linux x86_64) Chrome/120.0.6099.71 Safari/537.36"
NEXT_CHROME = "Mozilla/5.0 (X11; Linux x86_64) Chrome/120.1.2.3 Safari/537.36"
OTHER_CHROME = "Mozilla/5.0 (X11; Linux x86_64) Chrome/121.0.1.1 Safari/537.36"


def test_viewer_is_the_connection_or_else_the_address_with_the_user_agent() -> None:
    assert viewer_key(page_request(connection=7, user_agent="a")) == 7
    assert viewer_key(page_request(address="192.0.2.1", user_agent="a")) == ("192.0.2.1", "a")


def test_client_is_the_same_on_all_its_connections() -> None:
    one, other = (page_request(connection=number, user_agent="a") for number in (1, 2))

    assert client_key(one) == client_key(other) == ("192.0.2.1", "a")


def test_only_the_beginning_of_a_user_agent_counts() -> None:
    one, other = (page_request(user_agent="a" * 200 + end) for end in ("x", "y"))

    assert client_key(one) == client_key(other)
    assert client_key(one) != client_key(page_request(user_agent="a" * 199))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:DB8:1:2::1", "2001:0db8:1:2::3", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("2001:db8::1", "2001:db8:0:0:5::1", True),
        ("::1", "::2", True),
        ("not an address", "not an address", True),
        ("", "", True),
    ],
)
def test_one_customer_is_one_voter(one: str, other: str, same: bool) -> None:
    assert (voter_of(one) == voter_of(other)) is same


@pytest.mark.parametrize("address", ["", "192.0.2.1", "::", "unix:\udcff"])
def test_no_voter_is_0(address: str) -> None:
    assert 0 < voter_of(address) < 1 << 57


def test_segments_of_a_page_are_phones_and_queries() -> None:
    segments = [
        segment_of(page_request(target, phone=phone))
        for target in ("/", "/?q=1")
        for phone in (False, True)
    ]

    assert segments == list(range(SEGMENTS))


def arrived(referer: str, agent: str = CHROME) -> Request:
    return page_request(referer=referer, user_agent=agent)


@pytest.mark.parametrize(
    ("referer", "arrival"),
    [
        ("", "nowhere"),
        ("https://search.example/", "elsewhere"),
        (f"{ORIGIN}.evil.example/", "elsewhere"),
        (ORIGIN, "here"),
        (f"{ORIGIN}/other", "here"),
    ],
)
def test_widest_group_is_the_way_in_which_clients_come(referer: str, arrival: str) -> None:
    widest, *narrower = groups_of(arrived(referer))

    assert widest == (ORIGIN, arrival, "document")
    assert all(group[:3] == widest for group in narrower)


def test_browsers_of_a_major_version_are_a_group_and_those_of_a_minor_one_a_narrower_one() -> None:
    one, next_one, other = (
        groups_of(arrived("", agent)) for agent in (CHROME, NEXT_CHROME, OTHER_CHROME)
    )

    assert one[:2] == next_one[:2]
    assert one[2] != next_one[2]
    assert one[0] == other[0]
    assert one[1] != other[1]
