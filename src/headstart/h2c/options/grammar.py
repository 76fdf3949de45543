"""Declare commands and options, and report errors in their use.

Uses `argparse` with three changes: it raises instead of ending the process, options cannot be
abbreviated (a new option would break somebody's script), and the names of options with a value are
known, since argparse would take a value like `-x` for an option. `click` would accept such values,
but takes four times as long to import, and the command parses its arguments itself for help,
errors and `start`. Called by the modules of this package.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from typing import Any, NoReturn, TypeAlias

from headstart.errors import HeadstartError

Build: TypeAlias = Callable[[argparse.Namespace], object]
"""Makes the command of what was given."""

DEFAULT_TIMEOUT = 10.0

_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ms|s|m|h)?")
_SIZE = re.compile(r"([0-9]{1,15})(|kB|MB|GB)", re.IGNORECASE)
_MULTIPLES = {"": 1, "kb": 1000, "mb": 1000_000, "gb": 1000_000_000}
# Messages for an empty argument, by its metavar.
_EMPTY = {
    "FILE": "the name of the file is empty; give a path",
    "PATH_OR_URL": "it is empty; give a path such as /, or a URL",
}
_UNITS = {"ms": 0.001, None: 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


class HelpWanted(Exception):
    """The user asked for help; the message is the help."""


class UsageError(HeadstartError):
    """The arguments are wrong; the message is one line that says where the right ones are told."""


class MissingArgumentError(UsageError):
    """A command was called without an argument that it needs; the message has an example."""


class _Parser(argparse.ArgumentParser):
    """Raises where argparse would print and exit."""

    def __init__(self, example: str = "", **options: Any) -> None:
        super().__init__(
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            **options,
        )
        self._example = example

    def print_help(self, file: object = None) -> NoReturn:
        raise HelpWanted(self.format_help())

    def _get_values(self, action: argparse.Action, arg_strings: list[str]) -> Any:
        # Python 3.12.1 and before take the value of `--data=--` for the end of options.
        if action.option_strings and action.nargs is None and arg_strings == ["--"]:
            value = self._get_value(action, "--")
            self._check_value(action, value)
            return value
        # As where the variable of a shell is not set: it does not ask for the default.
        if action.metavar in _EMPTY and action.nargs is None and arg_strings == [""]:
            raise argparse.ArgumentError(action, _EMPTY[action.metavar])
        return super()._get_values(action, arg_strings)

    def error(self, message: str) -> NoReturn:
        required = "the following arguments are required: "
        if message.startswith(required):
            missing = message.removeprefix(required)
            raise MissingArgumentError(
                f"missing: {missing}; see '{self.prog} --help'. For example: {self._example}"
            )
        raise UsageError(f"{message}; see '{self.prog} --help'")


class Grammar:
    """Add commands to a parser.

    Args:
        introduction: The beginning of `h2c --help`.
        last_words: The end of it.

    Attributes:
        parser: The parser of the whole command line.
        parsers: The parser of each command.
        files: The options that take a file's path.
        arguments: The choices of each positional argument.
    """

    def __init__(self, introduction: str, last_words: str) -> None:
        self.parser = _Parser(prog="h2c", description=introduction, epilog=last_words)
        self._commands = self.parser.add_subparsers(
            metavar="COMMAND", required=True, parser_class=_Parser
        )
        self.with_value: dict[str, set[str]] = {}
        """The options of each command that a value follows."""
        self.names: dict[str, list[str]] = {}
        """All options of each command."""
        self.parsers: dict[str, argparse.ArgumentParser] = {}
        self.files: list[argparse.Action] = []
        self.arguments: list[argparse.Action] = []

    def command(self, name: str, build: Build, help: str, examples: str) -> Options:
        """Add a command without options.

        Args:
            examples: Lines for `--help`, each a command and its effect.
        """
        lines = "\n".join("  " + line for line in examples.strip().splitlines())
        parser: _Parser = self._commands.add_parser(
            name,
            help=help,
            description=f"{help[0].upper()}{help[1:]}.\n\n{lines}",
            example=lines.strip().partition("   ")[0].splitlines()[0],
        )
        parser.set_defaults(build=build)
        self.parsers[name] = parser
        names, with_value = (
            self.names.setdefault(name, ["--help"]),
            self.with_value.setdefault(name, set()),
        )
        return Options(parser, names, with_value, self.files, self.arguments)

    def add_help_command(self) -> None:
        """`help COMMAND`, which stands for `COMMAND --help`, for those who list the commands."""
        names = sorted(self.parsers)
        parser = self._commands.add_parser("help", help="tell the options of a command")
        parser.add_argument("command", metavar="COMMAND", nargs="?", choices=names)


class Options:
    """One command's options."""

    def __init__(
        self,
        parser: argparse.ArgumentParser,
        names: list[str],
        with_value: set[str],
        files: list[argparse.Action],
        arguments: list[argparse.Action],
    ) -> None:
        self._parser = parser
        self._names = names
        self._with_value = with_value
        self._files = files
        self._arguments = arguments

    def flag(self, *names: str, help: str) -> None:
        """Add an option without a value."""
        self._names += names
        self._parser.add_argument(*names, action="store_true", help=help)

    def value(self, *names: str, **settings: Any) -> None:
        """Add an option with a value."""
        self._names += names
        self._with_value.update(names)
        self._note(self._parser.add_argument(*names, **settings))

    def optional_value(self, name: str, **settings: Any) -> None:
        """Add an option with an optional value after `=`: "" without one, None if not given."""
        self._names.append(name)
        self._note(self._parser.add_argument(name, nargs="?", const="", default=None, **settings))

    def _note(self, action: argparse.Action) -> None:
        if action.metavar == "FILE":
            self._files.append(action)

    def argument(self, name: str, **settings: Any) -> None:
        """Add a positional argument."""
        self._arguments.append(self._parser.add_argument(name, **settings))

    def set_method(self, method: str) -> None:
        """Set the method of the command's request."""
        self._parser.set_defaults(method=method)

    def timeout(self) -> None:
        """`--timeout`."""
        self.value(
            "--timeout",
            type=seconds,
            metavar="TIME",
            default=DEFAULT_TIMEOUT,
            help="give up when nothing has moved for so long (default: 10s)",
        )


def seconds(text: str) -> float:
    """Parse a time in seconds, or with a unit: `500ms`, `10s`, `2m`, `1h`."""
    match = _DURATION.fullmatch(text)
    number = float(match[1]) * _UNITS[match[2]] if match and text.isascii() else 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a time; give seconds above 0, or 500ms, 2m"
        )
    return number


def count(text: str) -> int:
    """Parse a positive number."""
    if not (text.isascii() and text.isdigit() and 0 < int(text[:9]) == int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def size(text: str) -> int:
    """Parse a number of bytes: `65536`, `500kB`, `64MB`, `1GB`."""
    match = _SIZE.fullmatch(text)
    if match is None or not int(match[1]):
        raise argparse.ArgumentTypeError(f"{text!r} is not a size; give bytes above 0, or 64MB")
    return int(match[1]) * _MULTIPLES[match[2].lower()]


def octets(text: str) -> bytes:
    """Return the bytes that the user typed."""
    return text.encode("utf-8", "surrogateescape")
