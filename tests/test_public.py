"""The public interface: `docs/api.md` names it, and `__all__` of its modules declares it."""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from pathlib import Path

import pytest

API = Path(__file__).parents[1] / "docs" / "api.md"
MOST = 100


def documented() -> dict[str, set[str]]:
    """Return the names in the document, by module."""
    _, *sections = re.split(r"^## ", API.read_text(), flags=re.MULTILINE)
    names: dict[str, set[str]] = {}
    for section in sections:
        module, _, text = section.partition("\n")
        items = re.findall(r"^- (.*?):", text, flags=re.MULTILINE | re.DOTALL)
        names[module] = {name for item in items for name in re.findall(r"`(\w+)`", item)}
    return names


MODULES = documented()


@pytest.mark.parametrize("module", MODULES)
def test_document_names_exactly_what_a_module_exports(module: str) -> None:
    assert set(import_module(module).__all__) == MODULES[module]


@pytest.mark.parametrize("module", MODULES)
def test_everything_exported_is_there_and_says_what_it_is(module: str) -> None:
    loaded = import_module(module)

    for name in loaded.__all__:
        exported = getattr(loaded, name)
        if inspect.isclass(exported) or inspect.isfunction(exported):
            assert exported.__doc__, name


@pytest.mark.parametrize("module", ["headstart", "headstart.client", "headstart.middleware"])
def test_completion_offers_the_public_names_alone(module: str) -> None:
    loaded = import_module(module)

    assert {name for name in dir(loaded) if name != "__version__"} == set(loaded.__all__)


def test_there_are_fewer_exported_symbols_than_a_hundred() -> None:
    assert {"headstart", "headstart.client", "headstart.middleware"} <= set(MODULES)
    assert 50 < sum(map(len, MODULES.values())) < MOST
