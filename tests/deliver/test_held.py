"""Links that wait for the response."""

from __future__ import annotations

from headstart.deliver.held import HeldLinks

STYLE, FONT = b"</a.css>; rel=preload; as=style", b"</a.woff2>; rel=preload; as=font"


def test_links_go_out_with_the_start_of_the_response_behind_its_own_headers() -> None:
    held = HeldLinks()
    start = {"type": "http.response.start", "status": 200, "headers": [(b"a", b"b")]}

    assert held.hold([STYLE])
    assert held.hold([FONT, STYLE])
    assert held.released(start) == {
        **start, "headers": [(b"a", b"b"), (b"link", STYLE), (b"link", FONT)],
    }  # fmt: skip


def test_link_that_the_response_has_itself_is_not_sent_twice() -> None:
    held = HeldLinks()
    held.hold([STYLE, FONT])

    released = held.released({"type": "http.response.start", "headers": [[b"Link", FONT]]})

    assert released["headers"] == [(b"Link", FONT), (b"link", STYLE)]


def test_start_without_links_is_the_very_same_message() -> None:
    start = {"type": "http.response.start", "status": 200}

    assert HeldLinks().released(start) is start


def test_after_the_start_no_link_is_taken() -> None:
    held = HeldLinks()
    held.released({"type": "http.response.start"})

    assert not held.hold([STYLE])
