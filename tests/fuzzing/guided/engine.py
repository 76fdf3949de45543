"""One target under atheris: `python -m tests.fuzzing.guided.engine TARGET [libFuzzer's arguments]`.

A process of its own, since libFuzzer never returns, and since the code under test has to be
instrumented when it is first imported. Called by `__main__`.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import Any


def main(arguments: Sequence[str]) -> None:
    """Fuzz until libFuzzer ends the process."""
    name, *rest = arguments
    # Without stubs, and not there at all where nobody fuzzes.
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["headstart", "hpack", "hyperframe"]):
        targets = importlib.import_module("tests.fuzzing.guided.targets")
    atheris.Setup([sys.argv[0], *rest], targets.TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
