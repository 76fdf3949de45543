"""The table of assets: which of them are of users alone."""

from __future__ import annotations

from headstart.learn import LearnOptions, SeenAsset
from headstart.learn.counting import AssetTable
from headstart.learn.nodes import Level, Node
from headstart.learn.safety import Kind

ORIGIN = "https://example.org"


def table_with(*personal: bool) -> tuple[AssetTable, Node]:
    """A table with one asset of a page for each of the arguments, personal or not."""
    table, node = AssetTable(LearnOptions()), Node(ORIGIN, "/", Level.PAGE)
    for number, each in enumerate(personal):
        table.associate(node, SeenAsset(f"/{number}.jpg", Kind.IMAGE), 1, 0.0, personal=each)
    return table, node


def test_personal_assets_are_counted_until_they_are_published_or_forgotten() -> None:
    table, node = table_with(True, False, True, True)
    assert table.personal == 3

    published = table.get(ORIGIN, "/0.jpg")
    assert published is not None
    for _ in range(2):
        table.publish(published)
    assert table.personal == 2

    for target in list(node.assets):
        table.drop(node, target)
    assert table.personal == 0


def test_asset_that_others_knew_already_is_not_made_personal() -> None:
    table, _ = table_with(False)

    table.associate(Node(ORIGIN, "/draft", Level.PAGE), SeenAsset("/0.jpg", Kind.IMAGE), 2, 0.0,
                    personal=True)  # fmt: skip

    assert table.personal == 0
