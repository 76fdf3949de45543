"""The drawing of the rooms in docs/architecture.md is made from the import contract, and true."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
TOOL = ROOT / "tools" / "house.py"


@pytest.fixture(scope="module")
def house() -> ModuleType:
    spec = importlib.util.spec_from_file_location("house_tool", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look for their module there
    spec.loader.exec_module(module)
    return module


def test_drawing_is_that_of_the_contract() -> None:
    done = subprocess.run(
        [sys.executable, TOOL, "--check"], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr


def test_each_room_of_the_package_is_drawn(house: ModuleType) -> None:
    found = {path.stem for path in house.SOURCES.iterdir() if path.suffix in ("", ".py")}
    rooms = {name for name in found if not name.startswith("_")}

    assert {room for room, *_ in house.boxes()} == rooms


def test_each_room_is_named_in_the_list_of_the_document(house: ModuleType) -> None:
    text = (ROOT / "docs" / "architecture.md").read_text().split("```")[1]

    for room, *_ in house.boxes():
        assert f" {room}/" in text or f"{room}.py" in text, room


def test_way_between_rooms_that_do_not_know_each_other_is_an_error(house: ModuleType) -> None:
    house.check((house.Way("x", "#000", ("wire", "server")),))
    with pytest.raises(house.Broken, match="wire and learn do not import each other"):
        house.check((house.Way("x", "#000", ("wire", "learn")),))
    with pytest.raises(house.Broken, match="no room 'attic'"):
        house.check((house.Way("x", "#000", ("attic",)),))
