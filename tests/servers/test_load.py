"""The real `h2c load` against servers that are not ours: how each thing came from each of them."""

from __future__ import annotations

import json
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.h2c.room import Room
from tests.servers.conftest import Servers
from tests.servers.running import Server
from tests.servers.site import FILES, HINTED, PAGE, SCRIPT, STYLE

ALL = ["nghttpd", "node", "nginx", "apache", "h2o"]
HINTING = ["node", "apache"]


def loaded(room: Room, server: Server, path: str, *options: str) -> dict[str, Any]:
    """What `--json` tells."""
    said = room.ok("load", "--json", "--cacert", str(server.cafile), *options, server.tls + path)
    told: dict[str, Any] = json.loads(said)
    return told


def ways(told: dict[str, Any], server: Server) -> list[tuple[str, str, int]]:
    """Path, way and size of each resource."""
    return [
        (resource["url"].removeprefix(server.tls), resource["by"], resource["size"])
        for resource in told["resources"]
    ]


def expected(page: str, by: str) -> list[tuple[str, str, int]]:
    """The page, and what it links in its order."""
    assets = [(path, by, len(FILES[path])) for path in (STYLE, SCRIPT)]
    return [(page, "request", len(FILES[page])), *assets]


@pytest.mark.parametrize("name", ALL)
def test_what_each_server_pushes_is_not_asked_for(name: str, room: Room, pushing: Servers) -> None:
    server = pushing(name)

    told = loaded(room, server, PAGE)

    assert sorted(ways(told, server)) == sorted(expected(PAGE, "push"))
    assert all(resource["used"] for resource in told["resources"])


@pytest.mark.parametrize("name", HINTING)
def test_what_a_103_names_is_fetched_as_a_hint(name: str, room: Room, servers: Servers) -> None:
    server = servers(name)

    told = loaded(room, server, HINTED)

    assert sorted(ways(told, server)) == sorted(expected(HINTED, "hint"))
    assert len(told["hints"]) == 1
    by_path = {resource["url"].removeprefix(server.tls): resource for resource in told["resources"]}
    assert by_path[STYLE]["start"] >= told["hints"][0]["time"]


@pytest.mark.parametrize("name", ALL)
def test_without_hints_all_is_asked_for(name: str, room: Room, servers: Servers) -> None:
    server = servers(name)

    told = loaded(room, server, HINTED, "--no-hints")

    assert sorted(ways(told, server)) == sorted(expected(HINTED, "request"))


def test_the_waterfall_of_a_page_of_nginx(room: Room, pushing: Servers) -> None:
    server = pushing("nginx")

    shown = room.ok(
        *("load", "--waterfall", "page.svg", "--cacert", str(server.cafile), server.tls + PAGE)
    )

    assert shown.splitlines()[0].startswith("RESOURCE")
    assert "3 resources" in shown
    assert "1 requested, 0 hinted, 2 pushed" in shown
    picture = ElementTree.parse(room.folder / "page.svg").getroot()
    assert picture.tag == "{http://www.w3.org/2000/svg}svg"
