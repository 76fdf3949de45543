"""How frames are shown: the options that `start` and `wiretap` have in common.

Called by `process` and `wiretapping`.
"""

from __future__ import annotations

import argparse

from headstart.h2c.dump.text import DumpFormat, DumpOptions, FrameFilter
from headstart.h2c.options.grammar import Options


def dump_options(options: Options) -> None:
    """`--dump-format`, `--include`, `--exclude`, `--show-secrets` and `--keylog`."""
    options.value(
        "--dump-format",
        choices=[form.value for form in DumpFormat],
        metavar="FORMAT",
        help="text (the default), json (an object a line) or har (an HTTP archive)",
    )
    for name, help in (("--include", "show only these"), ("--exclude", "do not show these")):
        options.value(
            name,
            action="append",
            default=[],
            metavar="TYPES",
            help=f"{help} frame types; commas between them, or given several times",
        )
    options.flag("--show-secrets", help="show cookies and authorization, too")
    options.value(
        "--keylog",
        metavar="FILE",
        default="",
        help="add the TLS keys to this file, for Wireshark to decrypt with (NSS key log)",
    )


def dump_options_of(given: argparse.Namespace, file: str) -> DumpOptions:
    """Return the dump settings in the options.

    Args:
        file: The dump's output; "" and `-` are standard output.

    Raises:
        ConfigurationError: A frame type has an unknown name.
    """
    return DumpOptions(
        file="" if file == "-" else file,
        format=DumpFormat(given.dump_format or DumpFormat.TEXT),
        shown=FrameFilter.of(given.include, given.exclude),
        show_secrets=given.show_secrets,
    )


def only_with_a_dump(given: argparse.Namespace) -> bool:
    """Return true if an option was given that needs a dump."""
    return bool(given.dump_format or given.include or given.exclude or given.show_secrets)
