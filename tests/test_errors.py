"""The names of the errors of the package."""

import pkgutil
from importlib import import_module

import headstart
from headstart.errors import HeadstartError


def every_error(base: type[HeadstartError]) -> set[type[HeadstartError]]:
    """Return the classes below `base`, of all modules."""
    return {base}.union(*(every_error(cls) for cls in base.__subclasses__()))


def test_names_of_all_errors_end_in_error() -> None:
    for module in pkgutil.walk_packages(headstart.__path__, "headstart."):
        if not module.name.endswith("__main__"):
            import_module(module.name)

    names = {cls.__name__ for cls in every_error(HeadstartError)}

    assert {name for name in names if not name.endswith("Error")} == set()
    assert len(names) > 15
