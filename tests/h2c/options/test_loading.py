"""`h2c load` and its options."""

from __future__ import annotations

import pytest

from headstart.h2c import options
from headstart.h2c.options.connections import Trust
from headstart.h2c.options.loading import DEFAULT_BYTES, DEFAULT_RESOURCES, LoadPage
from tests.h2c.options.typed import mistake


def test_every_option_arrives() -> None:
    typed = "load /page --waterfall a.svg --json --fail --timeout 500ms --no-hints --no-push-cache"
    bounds = "--no-push --max-resources 5 --max-bytes 2kB --insecure -H a:b"

    assert options.parse([*typed.split(), *bounds.split()]) == LoadPage(
        where="/page",
        headers=((b"a", b"b"),),
        waterfall="a.svg",
        json=True,
        fail=True,
        timeout=0.5,
        use_pushes=False,
        allow_pushes=False,
        use_hints=False,
        max_resources=5,
        max_bytes=2000,
        trust=Trust("", True),
    )


def test_without_options_there_are_bounds() -> None:
    command = options.parse(["load", "https://a.test"])

    assert isinstance(command, LoadPage)
    assert (command.max_resources, command.max_bytes) == (DEFAULT_RESOURCES, DEFAULT_BYTES)


@pytest.mark.parametrize("file", ["page.png", "page.PDF"])
def test_a_waterfall_has_no_other_format(file: str) -> None:
    said = mistake("load", "/", "--waterfall", file)

    assert said.startswith("the waterfall is an SVG picture; write --waterfall page.svg")


def test_a_waterfall_does_not_go_where_the_table_goes() -> None:
    said = mistake("load", "/", "--waterfall", "-")

    assert said.startswith("the waterfall needs a file; write --waterfall page.svg")


@pytest.mark.parametrize("size", ["0", "-1", "1TB", "", "kB", "1.5MB"])
def test_a_bound_is_a_size_above_zero(size: str) -> None:
    assert mistake("load", "/", "--max-bytes", size).startswith("argument --max-bytes: ")


@pytest.mark.parametrize("number", ["0", "-1", "x", "1.5", "9" * 12])
def test_a_bound_is_a_number_above_zero(number: str) -> None:
    assert mistake("load", "/", "--max-resources", number).startswith("argument --max-resources: ")
