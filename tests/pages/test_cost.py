"""What reading a page costs, as the number of functions called; `bench.costs` has the times."""

from __future__ import annotations

from headstart.learn import Trust
from headstart.pages.reading import PageHead, PageReader
from tests.counting import calls_of

_HEAD = (
    "<!doctype html><html><head><meta charset=utf-8><title>Posts</title>"
    + "".join(f'<link rel="stylesheet" href="/static/c{at}.css?v=3">' for at in range(6))
    + '<script type="module" src="/assets/index-Ab12cd.js" crossorigin></script></head><body>'
)
_POST = (
    '<article class="post card" id="p1"><h2><a href="/posts/hello-1">A title &amp; more</a></h2>'
    '<p class="meta">By <b>Someone</b> on <time datetime="2024-01-01">1 Jan</time></p><p>Lorem '
    "ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt ut labore "
    '<img src="/media/a.jpg" loading="lazy" width=300 height=200 alt="x"></article>\n'
)
SEEN = PageHead(0.0, "https://example.org", "/posts/", 1, Trust.SOLE)


def calls_to_read(reader: PageReader, page: bytes) -> int:
    """Let a page pass, and read it."""

    def read() -> None:
        capture = reader.capture(SEEN)
        assert capture is not None
        capture.add(page, more=False)
        for waiting in reader.take(0.0):
            reader.read(waiting, lambda origin, path: True)

    return calls_of(read)


def test_a_page_that_changed_costs_in_proportion_and_one_that_did_not_next_to_nothing() -> None:
    reader = PageReader()
    short, long = ((_HEAD + _POST * posts).encode() for posts in (50, 200))
    calls_to_read(reader, b"<p>")  # imports and caches

    for_short, for_long = (calls_to_read(reader, page) for page in (short, long))

    assert 0 < for_long < 4.5 * for_short
    assert calls_to_read(reader, long) < for_long / 4
