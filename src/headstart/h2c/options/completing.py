"""`h2c completion`: a script that lets a shell complete commands and options.

Called by the package.
"""

from __future__ import annotations

from dataclasses import dataclass

from headstart.h2c.options.grammar import Grammar

SHELLS = ("bash", "zsh", "fish")


@dataclass(frozen=True, slots=True)
class Completion:
    """Print the script for a shell."""

    shell: str


def declare(grammar: Grammar) -> None:
    """Declare the commands of this module."""
    options = grammar.command(
        "completion",
        lambda given: Completion(given.shell),
        "print a script that lets the shell complete",
        """
h2c completion bash > ~/.local/share/bash-completion/completions/h2c
h2c completion zsh > ~/.zfunc/_h2c        with ~/.zfunc in $fpath, before compinit
h2c completion fish > ~/.config/fish/completions/h2c.fish
""",
    )
    options.argument("shell", metavar="SHELL", choices=SHELLS, help="bash, zsh or fish")
