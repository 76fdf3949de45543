"""The names of the package, and errors as a traceback shows them."""

from __future__ import annotations

import subprocess
import sys
import traceback

import pytest

import headstart
from headstart.errors import HeadstartError


def test_names_that_are_loaded_late_are_listed_before_they_are_loaded() -> None:
    program = "import headstart; print(*set(headstart.__all__) - set(dir(headstart)))"
    missing = subprocess.check_output([sys.executable, "-c", program], text=True)

    assert not missing.strip()
    assert "__version__" in dir(headstart)


@pytest.mark.parametrize("hint", ["Start the server.", ""])
def test_traceback_shows_the_hint_once_and_the_message_does_not_have_it(hint: str) -> None:
    with pytest.raises(HeadstartError) as caught:
        raise HeadstartError("nothing listens", hint=hint)

    shown = traceback.format_exception_only(caught.value)
    lines = [line.strip() for line in shown]
    assert lines == ["headstart.errors.HeadstartError: nothing listens", *filter(None, [hint])]
    assert str(caught.value) == "nothing listens"
