"""The operator's word on the map: what is sent with a page whoever asks, and what never is.

Pure. `model` owns one, hands it each `Rule`, and reads its pins for each page and its bars for each
asset.
"""

from __future__ import annotations

from collections.abc import Iterator

from headstart.errors import ConfigurationError
from headstart.learn.records import Rule, Verdict
from headstart.learn.safety import bad_target, kind_of_path
from headstart.learn.urls import path_of


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

    def obey(self, rule: Rule) -> None:
        """Takes the operator's word.

        Raises:
            ConfigurationError: The asset is no URL that can be sent ahead.
        """
        target = path_alone(rule.asset)
        if bad := bad_target(target, self._max_url):
            raise ConfigurationError(
                f"{rule.asset} cannot be sent ahead: {bad}", hint="Give a path such as /site.css."
            )
        if rule.verdict is Verdict.NEVER:
            self._never.add(rule.asset)
        elif kind_of_path(target) is None:
            raise ConfigurationError(
                f"{rule.asset} is no stylesheet, script, font or image by its name",
                hint="Only these can be sent ahead.",
            )
        else:
            self.pins.setdefault(path_of(rule.page), {})[target] = None

    def is_barred(self, origin: str, target: str) -> bool:
        """Whether the operator said never."""
        return target in self._never or origin + target in self._never

    def paths(self) -> Iterator[str]:
        """The path of each page that has pins."""
        return map(path_alone, self.pins)

    def pinned(self) -> Iterator[tuple[str, str, bool]]:
        """Each pin: its page, its asset, and whether that is barred."""
        for page, assets in self.pins.items():
            origin = page[: -len(path)] if (path := path_alone(page)) != page else ""
            for asset in assets:
                yield page, asset, self.is_barred(origin, asset)

    def forget(self, page: str) -> bool:
        """Forgets a page's pins. False if it had none.

        A pin may have been made with the path alone and be forgotten by the whole URL.
        """
        known = [key for key in self.pins if page in (key, path_alone(key))]
        known += [key for key in self.pins if key == path_alone(page) and key not in known]
        for key in known:
            del self.pins[key]
        return bool(known)

    def export(self) -> Iterator[Rule]:
        """All that the operator said."""
        for page, assets in self.pins.items():
            for asset in assets:
                yield Rule(Verdict.PIN, page, asset)
        for asset in sorted(self._never):
            yield Rule(Verdict.NEVER, "", asset)


def path_alone(page: str) -> str:
    """A page's path, whether it was given so or as a whole URL."""
    return "/" + page.split("/", 3)[-1] if "://" in page else page
