"""Links in headers and in content."""

from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.h2c.daemon.load import links
from headstart.h2c.daemon.load.links import Preconnect, links_of_headers
from headstart.h2c.daemon.load.resource import Kind, Want

URL = "https://a.test/"
CSS = b"a { b: url(x.png) }"
HTML = b"<img src=x.png>"


def found(
    data: bytes, kind: Kind, content_type: str = "", encoding: str = "", size: int = 7
) -> list[str]:
    reader = links.reader_of(URL, kind, content_type, encoding)
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    wanted = [one for piece in pieces for one in reader.feed(piece)]
    return [one.url for one in [*wanted, *reader.feed(b"", final=True)]]


@pytest.mark.parametrize(
    ("data", "kind", "content_type"),
    [
        (HTML, Kind.DOCUMENT, "text/html; charset=utf-8"),
        (HTML, Kind.DOCUMENT, "Text/HTML"),
        (HTML, Kind.DOCUMENT, "application/xhtml+xml"),
        (HTML, Kind.DOCUMENT, ""),
        (CSS, Kind.STYLE, "text/css"),
        (CSS, Kind.STYLE, ""),
        (CSS, Kind.STYLE, "text/css; charset=nonsense"),
        (CSS.decode().encode("utf-16"), Kind.STYLE, 'text/css; charset="utf-16"'),
    ],
)
@pytest.mark.parametrize("size", [1, 1000])
def test_documents_and_stylesheets_are_read(
    data: bytes, kind: Kind, content_type: str, size: int
) -> None:
    assert found(data, kind, content_type, size=size) == [f"{URL}x.png"]


@pytest.mark.parametrize(
    ("kind", "content_type"),
    [
        (Kind.DOCUMENT, "text/plain"),
        (Kind.STYLE, "text/html"),
        (Kind.SCRIPT, "text/html"),
        (Kind.IMAGE, "image/svg+xml"),
    ],
)
def test_nothing_else_is(kind: Kind, content_type: str) -> None:
    assert found(HTML + CSS, kind, content_type) == []


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (gzip.compress(HTML, mtime=0), "gzip"),
        (gzip.compress(HTML, mtime=0), "X-GZIP"),
        (zlib.compress(HTML), "deflate"),
        (zlib.compress(HTML)[2:-4], "deflate"),
        (gzip.compress(HTML[:9], mtime=0) + gzip.compress(HTML[9:], mtime=0) + b"\0", "gzip"),
        (gzip.compress(zlib.compress(HTML), mtime=0), "deflate, gzip"),
        (HTML, "identity"),
    ],
)
def test_what_is_compressed_is_inflated(data: bytes, encoding: str) -> None:
    assert found(data, Kind.DOCUMENT, "text/html", encoding) == [f"{URL}x.png"]


@pytest.mark.parametrize(("data", "encoding"), [(HTML, "br"), (HTML, "gzip")])
def test_what_cannot_be_inflated_links_nothing(data: bytes, encoding: str) -> None:
    assert found(data, Kind.DOCUMENT, "text/html", encoding) == []


@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_no_more_is_read_than_the_bound(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "LARGEST", 5000)
    page = b"<img src=in.png>" + b" " * 6000 + b"<img src=out.png>"
    data = gzip.compress(page) if encoding else page

    assert found(data, Kind.DOCUMENT, "text/html", encoding, size=9999) == [f"{URL}in.png"]


@given(st.text(max_size=40))
def test_any_content_type_can_be_read(content_type: str) -> None:
    links.reader_of(URL, Kind.DOCUMENT, content_type, "").feed(HTML, final=True)


@pytest.mark.parametrize(
    ("cache_control", "other", "expected"),
    [
        (b"max-age=60", b"", True),
        (b"public, max-age=60", b"", True),
        (b"max-age=0", b"", False),
        (b"no-store", b"", False),
        (b"no-cache, max-age=60", b"", False),
        (b"", b"", False),
        (b"", b"last-modified", True),
        (b"", b"expires", True),
    ],
)
def test_what_a_cache_may_keep_is_reusable(
    cache_control: bytes, other: bytes, expected: bool
) -> None:
    fields = [(b"cache-control", cache_control)] if cache_control else []
    fields += [(other, b"Wed, 21 Oct 2099 07:28:00 GMT")] if other else []

    assert links.is_reusable(fields, 200) is expected
    assert not links.is_reusable(fields, 404)


def test_expires_of_the_past_is_not() -> None:
    assert not links.is_reusable([(b"expires", b"0")], 200)


PAGE = "https://a.test/dir/page"


def named(value: bytes) -> list[Want | Preconnect]:
    return links_of_headers([(b"link", value)], PAGE, early=True)


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
    assert named(value) == [Want(f"https://a.test{path}", kind, PAGE, hinted=True, early=True)]


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

    found = links_of_headers([*fields, (b"x", b"</c>; rel=preload; as=style")], PAGE, early=False)

    assert [one.url[-2:] for one in found] == ["/a", "/b", "/a", "/b"]
    assert not any(isinstance(one, Want) and one.early for one in found)
