"""The errors of the package: their names, and the advice that they carry."""

import pkgutil
import traceback
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


def test_traceback_shows_the_hint() -> None:
    error = HeadstartError("the file is missing", hint="Create it.")

    assert str(error) == "the file is missing"
    assert "".join(traceback.format_exception(error)).endswith("the file is missing\nCreate it.\n")
