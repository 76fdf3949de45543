"""The operator's orders: assets that are always sent with a page, assets that never are, and pages
that are forgotten.

Pure. `model` owns one, hands it each `Rule`, and reads its pins for each page and its bars for each
asset.
"""

from __future__ import annotations

from collections.abc import Iterator

from headstart.errors import ConfigurationError
from headstart.learn.records import Rule, Verdict
from headstart.learn.safety import Unlearnable, bad_target, kind_of_path
from headstart.learn.urls import path_of

# Pages whose views of before are still refused. Such a view ends within minutes.
_FORGOTTEN = 1000
# Whoever can write to a store can write any number of them.
_MOST = 10_000


class Rules:
    """Pins and bars.

    Attributes:
        pins: The assets of each page that has any, in the order they were named; pages as the
            operator wrote them, a path or a whole URL.
    """

    def __init__(self, max_url: int) -> None:
        self._max_url = max_url
        self.pins: dict[str, dict[str, None]] = {}
        self._never: set[str] = set()
        self._forgotten: dict[str, float] = {}
        """When each page was last forgotten; pages as the operator wrote them."""
        self._pinned = 0

    def obey(self, rule: Rule) -> None:
        """Take an order of the operator.

        Raises:
            ConfigurationError: The asset is not a URL that can be sent ahead.
        """
        target = path_alone(rule.asset)
        if bad := bad_target(target, self._max_url):
            raise _unsendable(rule.asset, target, bad, self._max_url)
        if len(self._never) + self._pinned >= _MOST:
            raise ConfigurationError(
                f"{_MOST:,} assets are pinned or barred already, which is the most that is kept",
                hint="Forget pages whose pins are no longer of use.",
            )
        if rule.verdict is Verdict.NEVER:
            self._never.add(rule.asset)
        elif kind_of_path(target) is None:
            raise ConfigurationError(
                f"{rule.asset} is not a stylesheet, script, font or image by its name",
                hint="Only these can be sent ahead.",
            )
        else:
            assets = self.pins.setdefault(path_of(rule.page), {})
            self._pinned += target not in assets
            assets[target] = None

    @property
    def bars(self) -> bool:
        """Return true if any asset is barred; mostly there are none."""
        return bool(self._never)

    def is_barred(self, origin: str, target: str) -> bool:
        """Return true if the operator barred the asset."""
        return target in self._never or origin + target in self._never

    def paths(self) -> Iterator[str]:
        """Yield the path of each page that has pins."""
        return map(path_alone, self.pins)

    def pinned(self) -> Iterator[tuple[str, str, bool]]:
        """Each pin: its page, its asset, and whether that is barred."""
        for page, assets in self.pins.items():
            origin = page[: -len(path)] if (path := path_alone(page)) != page else ""
            for asset in assets:
                yield page, asset, self.is_barred(origin, asset)

    def is_forgotten(self, origin: str, path: str, time: float) -> bool:
        """Return whether a page was forgotten after it was seen at this time."""
        if not self._forgotten:  # as mostly: no URL is put together for nothing
            return False
        times = [self._forgotten.get(page) for page in (path, origin + path)]
        return any(forgotten is not None and time <= forgotten for forgotten in times)

    def forget(self, page: str, time: float) -> bool:
        """Forget a page's pins, and refuse its earlier views. Return false if it had no pins.

        A pin may have been made with the path alone and be forgotten by the whole URL.
        """
        self._forgotten.pop(page, None)
        self._forgotten[page] = time
        if len(self._forgotten) > _FORGOTTEN:
            del self._forgotten[next(iter(self._forgotten))]
        known = [key for key in self.pins if page in (key, path_alone(key))]
        known += [key for key in self.pins if key == path_alone(page) and key not in known]
        for key in known:
            self._pinned -= len(self.pins.pop(key))
        return bool(known)

    def export(self) -> Iterator[Rule]:
        """All that the operator said."""
        for page, assets in self.pins.items():
            for asset in assets:
                yield Rule(Verdict.PIN, page, asset)
        for asset in sorted(self._never):
            yield Rule(Verdict.NEVER, "", asset)


def _unsendable(asset: str, target: str, bad: Unlearnable, max_url: int) -> ConfigurationError:
    """Return the error for an asset whose URL cannot be sent ahead, with a remedy."""
    if not target.startswith("/"):
        meant = f"/{asset}" if bad_target(f"/{asset}", max_url) is None and asset else "/site.css"
        reason = "it is neither a path nor a full URL"
        hint = f"Give a path that begins with /, such as {meant}, or a full URL."
    elif bad is Unlearnable.LONG_URL:
        reason = f"it has more than {max_url:,} characters"
        hint = "Give the site's assets shorter names."
    elif bad is Unlearnable.OURS:
        reason = "it is a URL of Headstart's own"
        hint = "Give an asset of the site."
    elif target.startswith("//"):
        reason = "it begins with two slashes"
        hint = "Give a path that begins with one, or a full URL. Assets are of the page's own site."
    else:
        reason = "it has a character that a URL cannot have"
        hint = "Percent-encode it: a space is %20."
    named = asset or "''"
    return ConfigurationError(f"{named} cannot be sent ahead: {reason}", hint=hint)


def path_alone(page: str) -> str:
    """Return a page's path from a path or a whole URL."""
    return "/" + page.split("/", 3)[-1] if "://" in page else page
