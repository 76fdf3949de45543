"""The families that rules of a page's stylesheets name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.h2c.daemon.load.fonts import MOST_FAMILIES, family_of, used_families


@pytest.mark.parametrize(
    "css",
    [
        "a{font-family:Open Sans}",
        "a { color: red; FONT-FAMILY: serif, 'open  sans' !important }",
        'a{font:italic 400 12px/1.5"Open Sans",serif}',
        ":root { --text: 'Open Sans' } a { font-family: var(--text) }",
        "a { font-family: var(--text, Open Sans) }",
        "@media all { @supports (a: b) { a { font: 1em Open Sans } } }",
        "a { font-family/**/: /* x */ Open Sans }",
        "font-family: Open Sans",
        "@font-face { font-family: X } a { font-family: Open Sans",
    ],
)
def test_a_family_in_a_rule_is_used(css: str) -> None:
    assert family_of('"Open Sans"') in used_families(css)


@pytest.mark.parametrize(
    "css",
    [
        "@font-face { font-family: 'Open Sans'; src: url(a) }",
        "@media all { @font-face { font-family: 'Open Sans' } }",
        "/* a { font-family: Open Sans } */ a { font-family: Sans }",
        "a { my-font-family: Open Sans }",
        "a { font-family: Open Sans Condensed }",
        "",
    ],
)
def test_a_family_in_no_rule_is_not_used(css: str) -> None:
    assert family_of(" Open\tSans ") not in used_families(css)


def test_names_are_bounded() -> None:
    assert len(used_families(f"a {{ font: {'a ' * 50_000} }}")) == 10
    many = ";".join(f"font: a{number}" for number in range(2 * MOST_FAMILIES))
    assert len(used_families(many)) == MOST_FAMILIES


@given(st.text(alphabet="font-family:@e{};/*\"' ,()aA", max_size=120))
def test_whatever_comes_is_read(css: str) -> None:
    used_families(css)
    family_of(css)
