"""`headstart`, and `python -m headstart`: the command, which takes a moment to load."""

from __future__ import annotations

import signal


def main() -> None:
    """Run the command. Ctrl-C while it loads ends it as quietly as later."""
    handler = signal.getsignal(signal.SIGINT)
    if handler is signal.default_int_handler:  # a shell's background process ignores Ctrl-C
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from headstart.cli import main as command

    signal.signal(signal.SIGINT, handler)
    command(prog_name="headstart")


if __name__ == "__main__":
    main()
