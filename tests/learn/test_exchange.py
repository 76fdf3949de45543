"""One exchange, as the learner sees it."""

from __future__ import annotations

import pytest

from tests.learn.site import page_request


@pytest.mark.parametrize(
    ("cookies", "authorized", "credentials"),
    [(False, False, False), (True, False, True), (False, True, True)],
)
def test_response_may_be_one_clients_if_its_request_has_cookies_or_authorization(
    cookies: bool, authorized: bool, credentials: bool
) -> None:
    request = page_request(cookies=cookies, authorized=authorized)

    assert request.credentials is credentials
