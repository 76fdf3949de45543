"""The script that lets a shell complete the commands of `h2c` and their options.

Made by shtab from the parser that reads them, so that nothing is declared twice. The script runs
nothing but the shell, so completing starts no background process. Called by `local`.
"""

from __future__ import annotations

import shtab

from headstart.h2c import options

# An argument that nothing completes: zsh would say so, and then insert no option either.
_NOTHING = {"zsh": "{true}"}


def script(shell: str) -> str:
    """Return the completion script.

    Args:
        shell: `bash`, `zsh` or `fish`.
    """
    grammar = options.new_grammar()
    # What is read by hand, since it may stand before a command and behind it.
    grammar.parser.add_argument("--version", action="store_true", help="print the version")
    for parser in (grammar.parser, *grammar.parsers.values()):
        parser.add_argument("--session", metavar="NAME", help="use a background process of its own")
    grammar.add_help_command()
    for action in grammar.files:
        vars(action).update(complete=shtab.FILE)
    for action in grammar.arguments:
        if action.choices is None:
            vars(action).update(complete=_NOTHING)
    return shtab.complete(grammar.parser, shell=shell)
