"""A target that ends in an empty query is one of its own."""

from __future__ import annotations

import pytest

from tests.cache.cached import PUBLIC, Site


@pytest.mark.parametrize("location", ["/list?", "https://site.example/list?", "/list?#top", "?"])
async def test_unsafe_method_leads_to_a_target_with_an_empty_query(location: str) -> None:
    fields = [(b"location", location.encode())]
    cached = Site(
        lambda scope: (303, fields, b"") if scope["method"] == "POST" else (200, [PUBLIC], b"a")
    )
    for target in ("/list", "/list?"):
        await cached.ask(target)

    await cached.ask("/list", method="POST")
    told = (await cached.ask("/list?")).told

    assert told.startswith("fwd=uri-miss")
