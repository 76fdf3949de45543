"""Random paths, and the servers' own checks of what is exported for them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from headstart.export import Configuration, Plan, configuration
from headstart.export.paths import is_plain
from tests.export.asking import PATIENCE, page
from tests.peers import peer

# What means something to one syntax or another, more often than by chance.
_PIECES = st.sampled_from(
    [
        *"\"'`\\${}#%;:*~<>|^[]()=?& \t\r\n\x00/.",
        *("${", "{$", "%{", "%{ENV:PATH}", "{env.HOME}", "$uri", "#{1}", "\\x22", "\\n"),
        *("%0A", "%22", "%5C", "%FF", "}}", "{{", "\u2028", "\ud800"),
    ]
)
_PATHS = st.lists(_PIECES | st.text(max_size=4), max_size=8).map(lambda parts: "/" + "".join(parts))
BATCHES = st.lists(_PATHS, min_size=10, max_size=30, unique=True)

some = settings(max_examples=25)
"""For tests that make a whole file for each example."""
few = settings(
    max_examples=5,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)
"""For tests that start a program for each example, and so cannot try a thousand smaller ones."""


def random_pages(name: str, paths: Sequence[str]) -> Configuration:
    """The plain ones of these paths in one format, with a page that is always there."""
    plain = ["/always", *(path for path in paths if is_plain(path))]
    pages = [page(path, number) for number, path in enumerate(dict.fromkeys(plain))]
    return configuration(Plan("https://example.org", tuple(pages)), name)


def assert_passes(program: str, *arguments: str) -> None:
    """The program accepts what it is given and says so by its exit status."""
    command = [peer(program), *arguments]
    done = subprocess.run(
        command,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")
