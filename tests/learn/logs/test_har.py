"""Tests of headstart.learn.logs.har; its entries are tested with the file's other formats."""

from __future__ import annotations

from io import BytesIO

import pytest

from headstart.errors import ConfigurationError
from headstart.learn.logs import har


def test_archive_above_the_bound_is_refused_before_it_is_parsed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    archive = b'{"log": {"entries": []}}'
    monkeypatch.setattr(har, "MAX_ARCHIVE", len(archive))

    assert list(har.entries_of(BytesIO(archive))) == []
    with pytest.raises(ConfigurationError, match="is not read"):
        list(har.entries_of(BytesIO(archive + b" ")))


def test_what_is_not_an_entry_is_none() -> None:
    assert list(har.entries_of(BytesIO(b'{"log": {"entries": [5, {}]}}'))) == [None, None]
    assert list(har.entries_of(BytesIO(b"{"))) == [None]
