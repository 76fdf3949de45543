"""The `h2c` command, as a program of `tests.warm`.

Its first argument is run in place of Python where the command starts the background process. A
terminal that it is given becomes the one of its session.
"""

from __future__ import annotations

import fcntl
import sys
import termios

from headstart.h2c.command import main

if __name__ == "__main__":
    if sys.stdin.isatty():  # so that Ctrl-C is a signal
        fcntl.ioctl(sys.stdin, termios.TIOCSCTTY, 0)
    sys.executable = sys.argv.pop(1)
    sys.exit(main())
