"""What a Link field names."""

from __future__ import annotations

import pytest

from headstart.h2c.daemon.load.hints import Preconnect, read
from headstart.h2c.daemon.load.resource import Kind, Want

URL = "https://a.test/dir/page"


def named(value: bytes) -> list[Want | Preconnect]:
    return read([(b"link", value)], URL, early=True)


@pytest.mark.parametrize(
    ("value", "path", "kind"),
    [
        (b"<a.css>; rel=preload; as=style", "/dir/a.css", Kind.STYLE),
        (b'</a.js>; rel="preload"; as="script"', "/a.js", Kind.SCRIPT),
        (b"</a>; rel=preload; as=font; crossorigin", "/a", Kind.FONT),
        (b"</a>; rel=preload; as=fetch", "/a", Kind.OTHER),
        (b"</a.mjs>; rel=modulepreload", "/a.mjs", Kind.SCRIPT),
        (b'</a>; rel="next preload"; as=image', "/a", Kind.IMAGE),
    ],
)
def test_preloads_are_wanted_as_what_they_say(value: bytes, path: str, kind: Kind) -> None:
    assert named(value) == [Want(f"https://a.test{path}", kind, URL, hinted=True, early=True)]


@pytest.mark.parametrize(
    "value",
    [
        b"</a>; rel=preload",
        b"</a>; rel=preload; as=nonsense",
        b"</a>; rel=next",
        b"</a>; rel=prefetch; as=style",
        b"</a>; rel=preload; as=style; anchor=/other",
        b"<ftp://b.test/a>; rel=preload; as=style",
        b"nonsense",
        b"",
    ],
)
def test_what_browsers_ignore_is_ignored(value: bytes) -> None:
    assert named(value) == []


def test_preconnects_are_told_apart() -> None:
    assert named(b"<https://b.test>; rel=preconnect") == [Preconnect("https://b.test/")]


def test_all_fields_and_all_links_count() -> None:
    fields = [(b"link", b"</a>; rel=preload; as=style, </b>; rel=preload; as=style")] * 2

    found = read([*fields, (b"x", b"</c>; rel=preload; as=style")], URL, early=False)

    assert [one.url[-2:] for one in found] == ["/a", "/b", "/a", "/b"]
    assert not any(isinstance(one, Want) and one.early for one in found)
