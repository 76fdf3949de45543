"""The options of learning, declared once; the command line derives its own from them.

Frozen and picklable. Read by every module of this room.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from headstart.config import option
from headstart.errors import ConfigurationError

# RFC 9110, 5.6.2.
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnOptions:
    """Options of learning, forgetting and the use of associations. Times in seconds."""

    window: float = option(
        2.0, "Time after a page, and after each asset, in which the next belongs."
    )
    window_cap: float = option(10.0, "Time after a page in which an asset can belong at all.")
    read_pages: bool = option(True, "Read in the HTML of pages which assets they load.")
    referer_header: str = option("referer", "Header that names the page an asset belongs to.")
    control_share: int = option(
        32, "One view in so many gets nothing and is compared; 0: none.", zero=True
    )
    measure: bool = option(
        True,
        "Measure how much sooner pages are there than control views, and stop those that lose.",
    )
    likely: float = option(
        0.5, "An asset is sent if a client that lacks it asks for it so often.", unit="share"
    )
    break_even: int = option(
        256 * 1024, "Bytes whose waste costs what a hit saves; larger assets need better odds."
    )
    min_chance: float = option(
        0.05,
        "An asset is sent if its probability, times how often such clients fetch, is so large.",
        unit="share",
    )
    worth: float = option(
        1 / 3, "A page is served while so much of what it sends is used.", unit="share"
    )
    memory: int = option(32, "Views after which what a page did before has faded to a third.")
    misses: int = option(4, "An asset not asked for in so many views in a row starts anew.")
    max_pages: int = option(1000, "Pages kept; the least recently used goes first.")
    max_patterns: int = option(200, "URL patterns kept.")
    max_sites: int = option(20, "Origins kept.")
    max_assets: int = option(64, "Assets kept for each page, pattern and origin.")
    max_url: int = option(2048, "Length of a URL that is learned; longer ones are left out.")
    max_bytes: int = option(16 * 1024 * 1024, "Bytes that the learner may take in all.")
    max_live_views: int = option(1000, "Views whose window is open; the oldest ends first.")
    max_clients: int = option(1000, "Clients and connections remembered.")
    max_had: int = option(10_000, "Assets remembered as had, over all clients.")

    def __post_init__(self) -> None:
        for name in ("likely", "min_chance", "worth"):
            if not 0 < getattr(self, name) <= 1:
                raise ConfigurationError(
                    f"{name} is a share, not {getattr(self, name)}",
                    hint="give a number above 0, up to 1.",
                )
        if not 0 < self.window <= self.window_cap < math.inf:
            raise ConfigurationError(
                f"a window of {self.window} s with a cap of {self.window_cap} s is none",
                hint="give seconds, the window not above its cap.",
            )
        if not _TOKEN.fullmatch(self.referer_header):
            raise ConfigurationError(
                f"{self.referer_header!r} is not a valid header name",
                hint="give one such as Referer.",
            )
