"""Pushes and hints of one connection; what reaches the wire is in test_http2.py."""

from __future__ import annotations

import pytest

from headstart.errors import LocalProtocolError
from headstart.server.ahead import push_target


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/a b/é", b"/a%20b/%C3%A9"),
        ("/a?b=c#d", b"/a?b=c"),
        ("/root/a", b"/a"),
        ("/rooted", b"/rooted"),
    ],
)
def test_promised_target_is_the_path_as_it_stands_in_a_url(path: str, target: bytes) -> None:
    assert push_target(path, b"/root") == target


def test_path_that_is_no_text_is_the_applications_mistake() -> None:
    with pytest.raises(LocalProtocolError, match="no valid text"):
        push_target("/\udc89", b"")
