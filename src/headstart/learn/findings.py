"""Reasons why less of a site is learned than could be, for its operator.

Pure. The middleware notices them, the learner hands them to other workers and to the store, and
`headstart map --why` and the log say them. Bounded. They hold origins and folders, and nothing of
who asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

# What was not noticed again for so long may have been mended.
_LIFETIME = 86_400.0
# One that goes on is told to other workers so often.
_REFRESH = 3600.0
_MOST = 200


class Cause(StrEnum):
    """A condition that keeps the learner from learning."""

    NO_STORE = "no-store"
    """Assets say `Cache-Control: no-store`."""
    PRIVATE = "private"
    """Assets say `Cache-Control: private`."""
    SETS_COOKIE = "sets-cookie"
    """Assets set cookies."""
    VARIES = "varies"
    """Assets vary by Cookie, Authorization or everything."""
    UNKNOWN_VERSION = "unknown-version"
    """Assets have a query, and neither a lifetime nor a validator."""
    NO_REFERER = "no-referer"
    """Assets are asked for without a Referer."""
    REFERRER_POLICY = "referrer-policy"
    """The same, because the pages say `Referrer-Policy: no-referrer`."""
    OTHER_SCHEME = "other-scheme"
    """The Referer of assets has the page's host and another scheme."""
    FETCHED_TWICE = "fetched-twice"
    """Browsers fetch again the assets that a 103 named."""
    HTTP_1 = "http-1"
    """All requests come over HTTP/1.1."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One reason why less is learned.

    Attributes:
        origin: The site.
        cause: The condition.
        where: The folder of the assets, as in `/static/*`, or "" if it is about the whole site.
        time: When it was noticed last, on the clock of `Vote.time`.
    """

    origin: str
    cause: Cause
    where: str
    time: float


class Findings:
    """The latest findings, so many."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, Cause, str], Finding] = {}

    def __iter__(self) -> Iterator[Finding]:
        return iter(tuple(self._found.values()))

    def take(self, finding: Finding) -> tuple[bool, bool]:
        """Take a finding.

        Returns:
            Whether it is new, and whether others are to be told of it, again if it is not new.
        """
        key = (finding.origin, finding.cause, finding.where)
        known = self._found.pop(key, None)
        self._found[key] = finding
        if len(self._found) > _MOST:
            del self._found[next(iter(self._found))]
        if known is None or finding.time - known.time > _LIFETIME:
            return True, True
        if finding.time - known.time > _REFRESH:
            return False, True
        self._found[key] = known
        return False, False

    def of(self, origin: str, now: float) -> list[Finding]:
        """Return a site's findings of the last day, or every site's for an origin ""."""
        return [
            found
            for found in self
            if origin in ("", found.origin) and now - found.time <= _LIFETIME
        ]


def explain(finding: Finding) -> str:
    """Return a finding as text for the operator: the condition, and advice."""
    assets = f"Assets under {finding.where} are not learned: their responses"
    match finding.cause:
        case Cause.NO_STORE:
            return f"{assets} say Cache-Control: no-store."
        case Cause.PRIVATE:
            return f"{assets} say Cache-Control: private, so they may be one user's."
        case Cause.SETS_COOKIE:
            return f"{assets} set cookies, so they may be one user's."
        case Cause.VARIES:
            return (
                f"{assets} say Vary: Cookie or the like, so each user may get something else. "
                "If a framework adds that to every response, leave it out for static files."
            )
        case Cause.UNKNOWN_VERSION:
            return (
                f"{assets} belong to URLs with a query, and have no Cache-Control, ETag or "
                "Last-Modified that says that they are files. Nor does a page's HTML name them."
            )
        case Cause.NO_REFERER:
            return (
                "Assets are asked for without a Referer, so only the HTML says which page they "
                "belong to. Does a proxy in front remove it?"
            )
        case Cause.REFERRER_POLICY:
            return (
                "Assets are asked for without a Referer, so only the HTML says which page they "
                "belong to: the site sends Referrer-Policy: no-referrer. With same-origin, more "
                "would be learned."
            )
        case Cause.OTHER_SCHEME:
            return (
                "Assets are asked for with a Referer of another scheme, so they belong to no page "
                "that is known here. Does the proxy in front set X-Forwarded-Proto, and is it "
                "trusted (--forwarded-allow-ips)?"
            )
        case Cause.FETCHED_TWICE:
            return (
                "Browsers fetch most assets twice that a 103 names. They do that if they do not "
                "trust the certificate, since they keep nothing then, or if their cache is "
                "switched off. Use a certificate that they trust."
            )
        case Cause.HTTP_1:
            return (
                "All requests come over HTTP/1.1, so nothing is pushed and no 103 is sent: what "
                "was learned is named by Link fields alone."
            )
        case _:
            assert_never(finding.cause)
