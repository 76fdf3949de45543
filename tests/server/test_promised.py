"""Promised requests that are kept: whose pushes share them, and how many there may be."""

from __future__ import annotations

from typing import Any

import pytest

from headstart.errors import LocalProtocolError
from headstart.reasons import Refusal
from headstart.server.promised import PushTemplate, PushTemplates, push_target
from headstart.wire.events import Fields, RequestReceived

ACCEPT: Fields = [(b"accept", b"*/*")]


def page(target: bytes = b"/", authority: bytes = b"a.test", stream_id: int = 1) -> RequestReceived:
    """A request for a page."""
    return RequestReceived(stream_id, "GET", target, authority, [], True)


def template(templates: PushTemplates, request: RequestReceived, **more: Any) -> PushTemplate:
    """The common part of a page's pushes, with usual values beside `more`."""
    usual: dict[str, Any] = {
        "method": "GET",
        "given": [*ACCEPT],
        "credentials": False,
        "scheme": b"https",
        "root": b"",
    }
    return templates.of(request, **(usual | more))


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/a b/é", b"/a%20b/%C3%A9"),
        ("/a?b=c#d", b"/a?b=c"),
        ("/base/a", b"/a"),
        ("/based", b"/based"),
    ],
)
def test_promised_target_is_the_path_as_it_stands_in_a_url(path: str, target: bytes) -> None:
    assert push_target(path, b"/base") == target


def test_path_that_is_no_text_is_the_applications_mistake() -> None:
    with pytest.raises(LocalProtocolError, match="not valid text"):
        push_target("/\udc89", b"")


def test_views_of_a_page_share_the_requests_of_its_pushes() -> None:
    templates = PushTemplates()

    first = template(templates, page())
    second = template(templates, page(stream_id=3))

    assert second is first
    assert first.request_for("/a.css") is second.request_for("/a.css")
    assert first.request_for("/a.css").head.fields == [
        (b":method", b"GET"),
        (b":scheme", b"https"),
        (b":authority", b"a.test"),
        (b":path", b"/a.css"),
        *ACCEPT,
        (b"referer", b"https://a.test/"),
    ]


def test_request_re_enters_the_server_on_its_own_stream_with_fields_of_its_own() -> None:
    promised = template(PushTemplates(), page()).request_for("/a.css")

    one, other = promised.on(2), promised.on(4)

    assert (one.stream_id, other.stream_id) == (2, 4)
    assert (one.method, one.target, one.authority, one.end_stream) == (
        "GET",
        b"/a.css",
        b"a.test",
        True,
    )
    one.headers.clear()
    assert other.headers[0] == (b"host", b"a.test")


@pytest.mark.parametrize(
    "more",
    [
        {"method": "HEAD"},
        {"given": []},
        {"credentials": True},
        {"scheme": b"http"},
        {"root": b"/base"},
    ],
)
def test_pushes_that_differ_share_nothing(more: dict[str, Any]) -> None:
    templates = PushTemplates()

    assert template(templates, page()) is not template(templates, page(), **more)
    assert template(templates, page()) is not template(templates, page(b"/other"))
    assert template(templates, page()) is not template(templates, page(authority=b"b.test"))


@pytest.mark.parametrize(
    "given",
    [
        [(b"cookie", b"secret")],
        [(b"Authorization", b"secret")],
        [(b"accept", b"a" * 2000)],
        [[b"accept", b"*/*"]],
    ],
)
def test_secret_large_or_changeable_fields_are_not_kept(given: Any) -> None:
    templates = PushTemplates()

    made = template(templates, page(), given=given, credentials=True)

    assert (given[0][0].lower(), given[0][1]) in made.request_for("/a.css").head.fields
    assert not len(templates)
    assert template(templates, page(), given=given, credentials=True) is not made


def test_credentials_that_a_learned_push_may_not_carry_are_refused() -> None:
    made = template(PushTemplates(), page(), given=[(b"cookie", b"secret")])

    assert made.request_for("/a.css").head.unfit is Refusal.CREDENTIALS


def test_pages_not_viewed_for_longest_are_forgotten_first() -> None:
    templates = PushTemplates()
    first = template(templates, page(b"/0"))
    second = template(templates, page(b"/1"))

    for number in range(2, 64):
        template(templates, page(b"/%d" % number))
    assert template(templates, page(b"/0")) is first  # used again
    template(templates, page(b"/64"))

    assert len(templates) == 64
    assert template(templates, page(b"/0")) is first
    assert template(templates, page(b"/1")) is not second


def test_requests_that_are_kept_for_a_page_are_bounded() -> None:
    made = template(PushTemplates(), page())

    kept = [made.request_for(f"/{number}") for number in range(32)]
    more = made.request_for("/32")
    long = made.request_for("/" + "x" * 300)

    assert [made.request_for(f"/{number}") for number in range(32)] == kept
    assert made.request_for("/32") is not more
    assert made.request_for("/32").head.target == more.head.target == b"/32"
    assert long.head.is_path
