"""Sites that nobody here wrote, served by `headstart serve` and visited by Chromium.

`make test-sites` runs it: each site is built from packages of PyPI or npm, served twice (learning,
and with `--no-learn`), and visited by fresh browsers behind a link with 50 ms each way.
"""
