"""Each module that decides anything has a test file of its own in the same place."""

from __future__ import annotations

import ast
from pathlib import Path

TESTS = Path(__file__).parent
SOURCES = TESTS.parent / "src" / "headstart"
_BRANCHES = ast.If | ast.IfExp | ast.For | ast.While | ast.Try | ast.Match | ast.BoolOp

# Modules whose tests stand elsewhere: each hands on to one place, and is seen only through it.
ELSEWHERE = {
    "__init__.py": "test_public.py",
    "admin/measures.py": "admin/test_exposition.py",
    "admin/reporter.py": "admin/test_workers.py",
    "django/templatetags/headstart.py": "django/test_templatetags.py",
    "middleware/recorded.py": "middleware/test_recorder.py",
    "server/http1_upgrade.py": "server/test_websocket.py",
}


def mirror_of(module: Path) -> Path:
    """Return the path below `tests` of the test file of a module, given below the package."""
    if module.name == "__init__.py":
        return module.with_name("test_init.py")
    return module.with_name(f"test_{module.stem.strip('_')}.py")


def decides(module: Path) -> bool:
    """Return whether a function of a module has a branch."""
    tree = ast.parse((SOURCES / module).read_text(encoding="utf-8"))
    functions = (
        node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    return any(isinstance(node, _BRANCHES) for each in functions for node in ast.walk(each))


def without_mirror() -> set[str]:
    """Return the modules that decide something and have no test file of their own."""
    modules = (path.relative_to(SOURCES) for path in SOURCES.rglob("*.py"))
    return {
        module.as_posix()
        for module in modules
        if not (TESTS / mirror_of(module)).exists() and decides(module)
    }


def test_each_module_that_decides_something_has_a_test_file_of_its_own() -> None:
    assert without_mirror() - ELSEWHERE.keys() == set()


def test_modules_whose_tests_stand_elsewhere_are_listed_no_longer_than_that_is_so() -> None:
    assert ELSEWHERE.keys() - without_mirror() == set()
    assert all((TESTS / place).exists() for place in ELSEWHERE.values())
