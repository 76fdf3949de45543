"""Requests that are for pages: before the response, and by its head."""

from __future__ import annotations

import pytest

from headstart.learn import Answer
from headstart.learn.documents import is_html, is_page, may_be_page
from headstart.learn.model import Map
from tests.learn.site import HTML, page_request
from tests.learn.voting import OPTIONS, folded, vote

LONGEST = OPTIONS.max_url
NOBODY = Map(OPTIONS)


@pytest.mark.parametrize(
    ("destination", "is_document"),
    [
        ("document", True),
        ("iframe", True),
        ("frame", True),
        ("style", False),
        ("image", False),
        ("empty", False),
        ("embed", False),
        ("object", False),
    ],
)
def test_browser_says_whether_it_opens_a_document(destination: str, is_document: bool) -> None:
    request = page_request("/", destination=destination, accepts_html=True)

    assert may_be_page(request, NOBODY, LONGEST) is is_document


def test_target_of_the_greatest_length_is_taken_and_one_more_character_is_not() -> None:
    longest = page_request("/" + "a" * (LONGEST - 1))
    longer = page_request("/" + "a" * LONGEST)

    assert may_be_page(longest, NOBODY, LONGEST)
    assert not may_be_page(longer, NOBODY, LONGEST)
    assert is_html(longest, HTML, LONGEST)
    assert not is_html(longer, HTML, LONGEST)


@pytest.mark.parametrize("target", ["/a.css", "/a.js?v=2", "/a.woff2", "/a.PNG", "/dir.css/a.svg"])
def test_client_that_says_no_destination_asks_for_an_asset_by_its_name(target: str) -> None:
    request = page_request(target, destination="", accepts_html=True)

    assert not may_be_page(request, NOBODY, LONGEST)


def test_client_that_says_nothing_at_all_asks_for_a_page_that_others_are_known_to_view() -> None:
    known = folded(vote(1, "/site.css", path="/known"))
    requests = [page_request(path, destination="") for path in ("/known", "/known?q=1", "/other")]

    found = [may_be_page(request, known, LONGEST) for request in requests]

    assert found == [True, True, False]
    assert may_be_page(requests[2]._replace(accepts_html=True), known, LONGEST)


@pytest.mark.parametrize(
    ("answer", "opens"),
    [
        (HTML, True),
        (Answer(200, "text/html"), True),
        (Answer(200, "TEXT/HTML;charset=utf-8"), False),
        (Answer(200, "application/xhtml+xml"), True),
        (Answer(200, "text/html-fragment"), False),
        (Answer(200, "application/json"), False),
        (Answer(200, ""), False),
        (Answer(203, "text/html"), False),
        (Answer(304, "text/html"), False),
        (Answer(404, "text/html"), False),
    ],
)
def test_html_opens_a_view_for_a_client_of_which_nothing_was_known(
    answer: Answer, opens: bool
) -> None:
    assert is_html(page_request("/feed", destination=""), answer, LONGEST) is opens


@pytest.mark.parametrize("destination", ["empty", "style", "image"])
def test_html_that_a_script_fetches_or_that_stands_for_an_asset_opens_no_view(
    destination: str,
) -> None:
    assert not is_html(page_request("/part", destination=destination), HTML, LONGEST)


@pytest.mark.parametrize(
    ("answer", "is_one"),
    [
        (HTML, True),
        (Answer(200, ""), True),  # as in an access log
        (Answer(304, ""), True),
        (Answer(304, "application/pdf"), True),
        (Answer(200, "application/pdf"), False),
        (Answer(206, "text/html"), False),
        (Answer(301, "text/html"), False),
        (Answer(500, "text/html"), False),
    ],
)
def test_possible_page_is_one_if_it_is_found_and_not_known_to_be_other_than_html(
    answer: Answer, is_one: bool
) -> None:
    assert is_page(answer) is is_one
