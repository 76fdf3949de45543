"""The rules of learning, each refusal with its reason.

Pure: takes a request and the head of its response, returns a reason or a kind. Called by `learner`
for each asset of a view, and by `model` for imported ones. The rules are those of RFC 9111 for a
shared cache, narrowed: assets sent ahead reach clients who did not ask for them, so each must be
    equal
to the response that any of them would get.
"""

from __future__ import annotations

import re
from enum import StrEnum
from functools import lru_cache

from headstart.learn.exchange import Answer, Request
from headstart.learn.urls import extension, path_of


class Kind(StrEnum):
    """The kind of an asset; the value is the one of `as` in a preload link."""

    STYLE = "style"
    SCRIPT = "script"
    FONT = "font"
    IMAGE = "image"


ASSETS = frozenset(kind.value for kind in Kind)
"""Sec-Fetch-Dest of requests for assets."""
NAMING = (Kind.STYLE, Kind.SCRIPT)
"""The kinds that ask for more assets in their own name."""
PRESENT = frozenset((200, 206, 304))
"""The statuses of an asset that is there."""


class Trust(StrEnum):
    """How far one client's copy of a page speaks for the copies of others."""

    SOLE = "sole"
    """The response is the same for everybody."""
    AGREED = "agreed"
    """It may hold what is one client's. What two voters' copies name is not."""


class Unlearnable(StrEnum):
    """Why an asset is not learned. The value is the word shown in logs and counters."""

    METHOD = "method"
    """Only GET is repeated on a client's behalf."""
    STATUS = "status"
    """Only what was answered 200 is known to be there."""
    BAD_URL = "bad-url"
    """No absolute path of printable ASCII, or one that a browser would read as something else."""
    OURS = "ours"
    """One of Headstart's own, `/.headstart/rum.js`, which no page waits for."""
    LONG_URL = "long-url"
    """Longer than the operator allows."""
    DYNAMIC_TYPE = "dynamic-type"
    """No stylesheet, script, font or image."""
    ICON = "icon"
    """An icon of the site: browsers ask for it, but the page does not show it."""
    QUERY = "query"
    """A query may change state, and nothing says that it does not: no lifetime, no validator."""
    AUTHORIZED = "authorized"
    """The request carried Authorization: the answer may be one user's (RFC 9111, 3.5)."""
    PRIVATE = "private"
    """Cache-Control says `private` or `no-store` (RFC 9111, 5.2.2)."""
    SETS_COOKIE = "sets-cookie"
    """Set-Cookie: the answer is one user's."""
    VARIES = "varies"
    """`Vary` names Cookie, Authorization or `*`: another user gets something else."""


_OURS = "/.headstart/"
_EXTENSIONS = {
    **dict.fromkeys(("css",), Kind.STYLE),
    **dict.fromkeys(("js", "mjs"), Kind.SCRIPT),
    **dict.fromkeys(("woff", "woff2", "ttf", "otf", "eot"), Kind.FONT),
    **dict.fromkeys(("png", "jpg", "jpeg", "gif", "svg", "webp", "avif", "ico", "bmp"), Kind.IMAGE),
}
_TYPES = {
    "text/css": Kind.STYLE,
    "text/javascript": Kind.SCRIPT,
    "application/javascript": Kind.SCRIPT,
    "application/x-javascript": Kind.SCRIPT,
    "application/font-woff": Kind.FONT,
    "application/font-woff2": Kind.FONT,
    "application/x-font-ttf": Kind.FONT,
    "application/x-font-woff": Kind.FONT,
    "application/vnd.ms-fontobject": Kind.FONT,
}
_FAMILIES = {"font": Kind.FONT, "image": Kind.IMAGE}
_DESTINATIONS = {kind.value: kind for kind in Kind}

# The unreserved, reserved and percent characters of RFC 3986, less those that end or split a Link's
# target or a header's value, and less the backslash and the fragment, which are not in it at all.
# `_OURS` is left out.
_TARGET = re.compile(r"/(?!/|\.headstart/)[A-Za-z0-9._~%!$&'()*+,;=:@/?\[\]-]*")
_PRIVATE = frozenset(("private", "no-store"))
# Kinds that a page's HTML may vouch for; an image with a query may count visits.
_VOUCHED = frozenset((Kind.STYLE, Kind.SCRIPT, Kind.FONT))
_MINUTE = 60
# Characters of the longest target whose kind is remembered.
_SHORT = 128


def essence(content_type: str) -> str:
    """Return the media type without its parameters, in lower case."""
    return content_type.partition(";")[0].strip().lower()


def kind_of_type(media_type: str) -> Kind | None:
    """Return the kind of a media type (its essence), or None if it is not static."""
    return _TYPES.get(media_type) or _FAMILIES.get(media_type.partition("/")[0])


def kind_of(request: Request, answer: Answer) -> Kind | None:
    """Return the asset's kind, or None if it is not learned.

    The response and the client's destination must agree that it is static; a log has neither, so
    the file name decides.
    """
    media_type = essence(answer.content_type)
    named = kind_of_type(media_type) if media_type else kind_of_path(request.target)
    if not request.destination:
        return named
    return named if _DESTINATIONS.get(request.destination) is named else None


def kind_of_path(target: str) -> Kind | None:
    """Return the kind of the file name's extension, or None."""
    return _kind_of_short(target) if len(target) <= _SHORT else _kind_of_name(target)


def _kind_of_name(target: str) -> Kind | None:
    return _EXTENSIONS.get(extension(path_of(target)))


# It is asked several times for each request, mostly of the same assets; 0.3 MB at the most.
_kind_of_short = lru_cache(maxsize=1024)(_kind_of_name)


def is_static_name(target: str, kind: Kind) -> bool:
    """Return whether a URL names a file of that kind and nothing else."""
    return "?" not in target and kind_of_path(target) is kind


def directives(cache_control: str) -> dict[str, str]:
    """Cache-Control's directives with their arguments, the first of a name (RFC 9111, 4.2.1)."""
    found: dict[str, str] = {}
    for part in cache_control.split(","):
        name, _, value = part.partition("=")
        if name := name.strip().lower():
            found.setdefault(name, value.strip().strip('"'))
    return found


def lifetime(cache_control: str | None) -> int | None:
    """Return the seconds for which the response is fresh, None if Cache-Control has no lifetime.

    `no-cache` means none, even beside a `max-age`: the response may be kept but not used without
    asking (RFC 9111, 5.2.2.4). With field names it is about those fields alone.
    """
    said = directives(cache_control or "")
    if said.get("no-cache") == "":
        return 0
    age = said.get("max-age", "")
    return int(age) if age.isdecimal() and age.isascii() and len(age) < 12 else None


def trust_in(request: Request, answer: Answer) -> Trust | None:
    """Return how far a page speaks for the copies of other clients, or None if it does not.

    A response to a request with credentials may be one user's, in spite of its headers: many
    applications do not mark it. Without credentials it is nobody's, but a URL in it may stand for a
    new session, for the client's address, or for the query.

    Args:
        request: The page's request.
        answer: The head of the response.
    """
    if request.credentials or answer.status != 200:
        return None
    varies = {name.strip().lower() for name in answer.vary.split(",")}
    if "*" in varies:
        return None
    said = directives(answer.cache_control or "")
    if "?" in request.target or answer.sets_cookie or "private" in said or "no-store" in said:
        return Trust.AGREED
    return Trust.SOLE


def is_personal(request: Request, answer: Answer) -> bool:
    """Return true if a page may be one that its client alone is allowed to read.

    Args:
        request: The page's request.
        answer: The head of the response.
    """
    if not request.credentials:
        return False
    said = directives(answer.cache_control or "")
    varies = {name.strip().lower() for name in answer.vary.split(",")}
    if "private" in said or "no-store" in said or not varies.isdisjoint(("cookie", "*")):
        return True
    return "public" not in said and not lifetime(answer.cache_control)


def bad_target(target: str, max_url: int) -> Unlearnable | None:
    """Return why this target may not be sent ahead with any response, or None."""
    if len(target) > max_url:
        return Unlearnable.LONG_URL
    if _TARGET.fullmatch(target):
        return None
    return Unlearnable.OURS if target.startswith(_OURS) else Unlearnable.BAD_URL


def refusal(
    request: Request, answer: Answer, max_url: int, *, named: bool = False
) -> Unlearnable | None:
    """Why this asset may not be learned, or None.

    Args:
        request: The asset's.
        answer: The head of its response.
        max_url: The length of the longest URL that is learned.
        named: A page's own HTML names it.
    """
    if request.method != "GET":
        return Unlearnable.METHOD
    if answer.status != 200:
        return Unlearnable.STATUS
    kind = kind_of(request, answer)
    if kind is None:
        return Unlearnable.DYNAMIC_TYPE
    if bad := bad_target(request.target, max_url):
        return bad
    if named and kind in _VOUCHED:
        # Each browser that loads the page asks for it, whatever the query says.
        return _not_for_all(request, answer)
    return _not_for_all(request, answer) or _changes_state(request, answer)


def _not_for_all(request: Request, answer: Answer) -> Unlearnable | None:
    if request.authorized:
        return Unlearnable.AUTHORIZED
    if answer.sets_cookie:
        return Unlearnable.SETS_COOKIE
    if answer.cache_control and not _PRIVATE.isdisjoint(directives(answer.cache_control)):
        return Unlearnable.PRIVATE
    named = {name.strip().lower() for name in answer.vary.split(",")}
    return None if named.isdisjoint(("cookie", "authorization", "*")) else Unlearnable.VARIES


def _changes_state(request: Request, answer: Answer) -> Unlearnable | None:
    if "?" not in request.target:
        return None
    said = directives(answer.cache_control or "")
    if "immutable" in said or lifetime_of(request, answer) or answer.validated:
        return None  # the map asks for a second asker where that says little; see `needs_second`
    return Unlearnable.QUERY


def lifetime_of(request: Request, answer: Answer) -> int | None:
    """Return the seconds that a browser keeps the answer: as it says, or by the file's age.

    The age of a file does not say that anybody may have it. So with a query it never stands for the
    minute that makes a second asker unnecessary.
    """
    said = lifetime(answer.cache_control)
    if said is None:
        said = answer.expires_in
    if said is not None or answer.heuristic_lifetime is None:
        return said
    most = _MINUTE - 1 if "?" in request.target else answer.heuristic_lifetime
    return min(most, answer.heuristic_lifetime)


def needs_second(target: str, fresh_for: int | None) -> bool:
    """Return whether an asset is sent only once two voters asked for it, on any page.

    A URL with a query may stand for one client or one moment (`?session=...`, `?t=...`). It surely
    does not if its answer stays fresh for a minute, nor if somebody else asked for the same URL.
    """
    return "?" in target and (fresh_for or 0) < _MINUTE
