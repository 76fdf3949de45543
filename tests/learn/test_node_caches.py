"""The nodes of the map: pages, their patterns and their origins."""

from __future__ import annotations

import pytest

from headstart.learn import LearnOptions, Level
from headstart.learn.node_caches import NodeCaches
from headstart.learn.nodes import Node
from headstart.learn.urls import pattern_of
from tests.learn.site import ORIGIN

PATTERN = pattern_of("/product/17")


def caches(*nodes: tuple[str, Level]) -> NodeCaches:
    made = NodeCaches(LearnOptions())
    for path, level in nodes:
        made.of(level).touch(Node(ORIGIN, path, level))
    return made


ALL = (("/product/17", Level.PAGE), (PATTERN, Level.PATTERN), ("", Level.SITE))


def test_each_level_has_a_cache_and_all_nodes_are_listed_by_level() -> None:
    known = caches(*ALL)

    assert [(node.path, node.level) for node in known] == list(ALL)
    assert [known.of(level) for level in (Level.PAGE, Level.PATTERN, Level.SITE)] == [
        known.pages,
        known.patterns,
        known.sites,
    ]


@pytest.mark.parametrize(
    ("path", "level"),
    [("/product/17", Level.PAGE), (PATTERN, Level.PATTERN), ("/*", Level.SITE)],
)
def test_operator_names_a_page_similar_pages_or_the_whole_site(path: str, level: Level) -> None:
    node = caches(*ALL).named(ORIGIN, path)

    assert node is not None
    assert node.level is level
    assert caches().named(ORIGIN, path) is None


@pytest.mark.parametrize(
    ("known", "level"),
    [(ALL, Level.PAGE), (ALL[1:], Level.PATTERN), (ALL[2:], Level.SITE)],
)
def test_narrowest_node_is_the_page_or_else_its_pattern_or_its_site(
    known: tuple[tuple[str, Level], ...], level: Level
) -> None:
    node = caches(*known).narrowest(ORIGIN, "/product/17")

    assert node is not None
    assert node.level is level


def test_page_without_a_pattern_falls_back_to_its_site() -> None:
    assert not pattern_of("/")
    assert caches().narrowest(ORIGIN, "/") is None
    node = caches(("", Level.SITE)).narrowest(ORIGIN, "/")
    assert node is not None
    assert node.level is Level.SITE


def chain(known: NodeCaches, level: Level, path: str = "") -> list[Level]:
    node = next(iter(known.of(level)))
    return [one.level for one in known.chain_of(node, path)]


def test_page_borrows_from_its_pattern_and_its_site_as_far_as_they_are_known() -> None:
    assert chain(caches(*ALL), Level.PAGE) == [Level.PAGE, Level.PATTERN, Level.SITE]
    assert chain(caches(*ALL), Level.PATTERN) == [Level.PATTERN, Level.SITE]
    assert chain(caches(*ALL), Level.SITE) == [Level.SITE]
    assert chain(caches(*ALL[:1]), Level.PAGE) == [Level.PAGE]


def test_page_that_is_new_borrows_as_another_path_would() -> None:
    known = caches(("/", Level.PAGE), *ALL[1:])

    assert chain(known, Level.PAGE) == [Level.PAGE, Level.SITE]
    assert chain(known, Level.PAGE, "/product/99") == [Level.PAGE, Level.PATTERN, Level.SITE]
