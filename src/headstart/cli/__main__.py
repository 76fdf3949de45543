"""`python -m headstart.cli` is `headstart`."""

from __future__ import annotations

from headstart.cli import main

if __name__ == "__main__":
    main(prog_name="headstart")
