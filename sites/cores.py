"""Cores for the servers, and cores for the browser, where there are enough of them.

On a machine with fewer than four, Chromium would be slowed by its processor and not by the link.
Read by `serving` and `browser`.
"""

from __future__ import annotations

from typing import Final

from bench.cores import CORES as ALL
from bench.cores import Cores

_ENOUGH: Final = 3

CORES: Final = ALL if len(ALL.load) >= _ENOUGH else Cores()
