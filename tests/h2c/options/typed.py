"""What tests type: commands, and mistakes."""

from __future__ import annotations

import pytest

from headstart.h2c import options
from headstart.h2c.options import HelpWanted, UsageError
from headstart.h2c.options.requests import RequestCommand


def exchange(*arguments: str) -> RequestCommand:
    command = options.parse(arguments)
    assert isinstance(command, RequestCommand)
    return command


def mistake(*arguments: str) -> str:
    with pytest.raises(UsageError) as caught:
        options.parse(arguments)
    return str(caught.value)


def shown_help(*arguments: str) -> str:
    with pytest.raises(HelpWanted) as caught:
        options.parse(arguments)
    return str(caught.value)
